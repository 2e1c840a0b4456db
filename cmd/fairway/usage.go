package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that means nothing.
type usageError struct{ error }

// Unwrap gives the error without its kind.
func (u usageError) Unwrap() error { return u.error }

// badUsage is the error of a command line that means nothing.
func badUsage(err error) error { return codedError{exitUsage, usageError{err}} }

// markUsage has a command, and those below it, tell that its arguments are wrong.
func markUsage(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return badUsage(err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markUsage(sub)
	}
}

// knownCommand refuses what is no command, and offers the nearest.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return badUsage(fmt.Errorf("unknown command %s; there are %s%s", args[0], strings.Join(names, ", "), suggestion(args[0], names)))
}

// flagError says what is wrong with a flag. A value that -o does not take says so
// itself, and pflag's words around it are too many.
func flagError(c *cobra.Command, err error) error {
	var format unknownFormat
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &format):
		return codedError{exitUsage, format}
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		err = fmt.Errorf("%w%s", err, suggestion("--"+unknown.GetSpecifiedName(), names))
	}
	return badUsage(err)
}
