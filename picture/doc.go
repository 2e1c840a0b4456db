// Package picture is what the page shows: which node announces what to which router,
// what is withheld and what to do about it, what is not well, and what happened.
//
// A Picture is made of one node's published status (OfNode), or of what all nodes say
// of themselves, their Speakers (OfCluster): the same shape, so that one page shows
// both. What counts as announced, as trouble or as dead is told by packages status and
// account; here it is only arranged. Compare tells what happened between two Pictures,
// and a Timeline keeps that. Values in, values out: nothing in here asks anybody, or
// knows what time it is.
package picture
