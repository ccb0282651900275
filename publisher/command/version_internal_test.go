package command

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionText(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	got := versionText(info)
	if !strings.HasPrefix(got, "zamqp v1.2.3\nrevision abc of 2026-01-02T03:04:05Z, with changes\ngo") {
		t.Errorf("%q", got)
	}
	if got := versionText(nil); !strings.HasPrefix(got, "zamqp unknown\ngo") {
		t.Errorf("%q", got)
	}
}
