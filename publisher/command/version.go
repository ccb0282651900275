package command

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"
)

func (c *CLI) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of the program and of Go",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo() // nil when built without modules
			if _, err := fmt.Fprint(c.Stdout, versionText(info)); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

// versionText returns the module's version, the commit, and the version of Go.
func versionText(info *debug.BuildInfo) string {
	version, revision := "unknown", ""
	if info != nil {
		version = info.Main.Version
		set := map[string]string{}
		for _, s := range info.Settings {
			set[s.Key] = s.Value
		}
		if set["vcs.revision"] != "" {
			revision = "revision " + set["vcs.revision"]
			if set["vcs.time"] != "" {
				revision += " of " + set["vcs.time"]
			}
			if set["vcs.modified"] == "true" {
				revision += ", with changes"
			}
			revision += "\n"
		}
	}
	return fmt.Sprintf("zamqp %s\n%s%s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Version is the version of the module, or "unknown" if it was built without modules.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
})
