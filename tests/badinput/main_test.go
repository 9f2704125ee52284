package badinput

import (
	"testing"

	"sepiola/internal/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }
