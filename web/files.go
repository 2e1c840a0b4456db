package web

import _ "embed"

// The page as it is built from ui/src; `make page` builds it again, and a test compares.
// Whoever builds Fairway needs no Node.js.

//go:embed ui/dist/index.html
var pageHTML string

//go:embed ui/dist/page.js
var pageJS string

//go:embed ui/dist/page.css
var pageCSS string

//go:embed ui/dist/icon.svg
var pageIcon string
