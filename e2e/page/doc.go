// Package page looks at the page in a real browser, and builds it again from its sources.
package page
