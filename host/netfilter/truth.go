package netfilter

// Truth is an answer that may be unknown. Its order makes "and" the minimum and
// "or" the maximum (Kleene's logic): No and Maybe is No, for whatever the second is,
// the rule does not match; Yes and Maybe is Maybe.
type Truth uint8

// The three answers.
const (
	No Truth = iota
	Maybe
	Yes
)

// Not is the opposite; the opposite of Maybe is Maybe.
func (t Truth) Not() Truth { return Yes - t }

func (t Truth) String() string { return [...]string{"no", "maybe", "yes"}[t] }

// truthOf is Yes or No.
func truthOf(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

// either is Yes where both are, No where none is, else Maybe: what is known when
// it is not known which of two ways was taken.
func either(a, b Truth) Truth {
	if a == b {
		return a
	}
	return Maybe
}
