package publisher

import (
	"fmt"
	"strings"
)

// SiteVariable stands for the deployment's id, site.id of the configuration, in
// what handler packages say of producers and consumers, in the exchange given to
// [OnError], in the name given to [Request.Queue] and in the text of the options
// [Key], [Exchange], [ReplyTo], [UserID] and [AppID].
const SiteVariable = "${site_id}"

// site puts the deployment's id into a name.
func (s *Server) site(name string) (string, error) {
	if !strings.Contains(name, SiteVariable) {
		return name, nil
	}
	if s.options.Site == "" {
		return "", fmt.Errorf("%q: site.id is not set: name this deployment there", name)
	}
	return strings.ReplaceAll(name, SiteVariable, s.options.Site), nil
}

// isName reports whether [SiteVariable] counts in the option's text.
func (o *Option) isName() bool {
	switch o.kind {
	case optKey, optExchange, optReplyTo, optUserID, optAppID:
		return true
	}
	return false
}
