package publisher

import (
	"errors"
	"strings"
)

// SiteVariable stands for the deployment's id, site.id of the configuration, or for the
// site_id of the consuming server whose message is handled ([consuming_server.NAME]). It can
// be used in the producers and consumers that handler packages declare, in the exchange given
// to [OnError], in the name given to [Request.Queue] and in the text of the options [Key],
// [Exchange], [ReplyTo], [UserID] and [AppID].
const SiteVariable = "${site_id}"

// ErrNoSite is the error of [ExpandSite] without a site id.
var ErrNoSite = errors.New("site.id is not set: name this deployment there")

// ExpandSite replaces each [SiteVariable] in text by the deployment's id.
func ExpandSite(text, id string) (string, error) {
	switch {
	case !strings.Contains(text, SiteVariable):
		return text, nil
	case id == "":
		return text, ErrNoSite
	}
	return strings.ReplaceAll(text, SiteVariable, id), nil
}

// isName reports whether the option's text may contain [SiteVariable].
func (o *Option) isName() bool {
	switch o.kind {
	case optKey, optExchange, optReplyTo, optUserID, optAppID:
		return true
	}
	return false
}
