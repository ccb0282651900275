package command_test

import "zamqp/tests/kit/declared"

// registry is what the handler packages of these tests declare.
var registry, nothing = declared.Registry, declared.Nothing
