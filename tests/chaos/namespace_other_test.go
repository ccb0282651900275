//go:build !linux

package chaos_test

import (
	"testing"

	"zamqp/tests/kit/rabbitmq"
)

func ownNetwork(*testing.T) bool { return false }

func isolated() bool { return false }

func smallDisk(*testing.T, string) bool { return false }

func namespaces(_ *testing.T, n int) ([]rabbitmq.Place, func(int) func()) {
	return make([]rabbitmq.Place, n), nil
}

func partition(func(int) func()) fault { return fault{} }
