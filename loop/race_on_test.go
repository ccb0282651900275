//go:build race

package loop_test

const racing = true
