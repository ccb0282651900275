package tidy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oldWord is a word that the project no longer uses, because the field has a
// better known one.
type oldWord struct {
	pattern string // of an identifier or a phrase, without what has another sense
	instead string // what is written now
}

// oldWords stays: a word that comes back would be the second one for one thing.
var oldWords = []oldWord{
	{`handlertest`, "publishertest"},
	{`[oO]wnCodec`, "SelfEncoding"},
	{`own_codec`, "self_encoding"},
	{`DESIGN §|STYLE §|UPSTREAM\.md`, "what that document says: it is not here"},
	{`between rooms|the rooms\b|Rooms and`, "packages"},
	{`\bdeployed\(`, "expandSite"},
	{`\bl\.spell\(|\) spell\(`, "expandShorthand"},
	{`\bintakes?\b`, "subscription"},
	{`\bexodus\b`, "old quarantine"},
	{`[sS]uspectQueue`, "OldQuarantineQueue"},
	{`\bflight(s|state|State|Event|Deed)\b`, "in-flight publish, inFlight"},
	{`amqpdoor/(gate|held|suspects)\b`, "throttle, delayed retry, quarantine"},
	{`[sS]ettler\b`, "acknowledger"},
	{`\b[sS]tations?\b|newStation`, "registration"},
	{`\bnewHalf\b|\*half\b|\b[jJ]oined pairs?\b|\bloop\.Join\b`, "pipe, pipe end"},
	{`\bl\.news\b|\breadHalves\b|\bp\.bell\b|\bthe bell\b`, "readable pipes, wake descriptor"},
	{`\b[pP]oke[sd]?\b|\brouse[sd]?\b|\) kick\(|\.kick\(`, "wake"},
	{`\bKeepMax\b|\bkeepPool\b|\.unkeep\b`, "input buffer, InputMax"},
	{`\bsound\(err`, "checkError"},
	{`\blest\b`, "because, so that … not"},
	{`\b[dD]eeds?\b|\*author\b|\bauthors?_test`, "generators"},
	{`\bhandovers?\b`, "move"},
	{`\bshelf\b|\bshelves\b`, "index"},
	{`(^|[^.])\b[sS]uspect(s|ed)?\b`, "quarantined: only the old queue on a broker is called X.suspects"},
	{`\bflightsMax\b`, "inFlightMax"},
	{`\bPutAside\b`, "Reject"},
	{`\b[cC]arriers?\b`, "transport, call"},
	{`\b(CallID|callerState|EventCallChannelClosed)\b`, "RequestID: an RPC is a request"},
	{`\b(openGate|gateMax|pubState|callLedger|newPublisher|roomForGetter)\b`, "replay barrier, publish channel, admin channel, get channel"},
	{`\baccus(e|es|ed|ation)\b`, "the subject of a channel error"},
	{`\b[hH]eirs?\b|\boutcasts?\b`, "successor, failing channel"},
	{`\b[dD]eaf\b`, "readPaused, unresponsive"},
	{`ResentUnsure`, "ResentIndeterminate"},
	{`\bblame[ds]?\(`, "setCurrent, declarationRefused"},
	{`\bhandOver\b`, "moveNacked"},
	{`\b[gG]uilty|[a-z]Guilty`, "the publish that caused the error, channel closed"},
	{`\b[iI]nnocents?\b`, "harmless, other messages"},
	{`\b[vV]erdicts?\b|\bverdict(Of|Done|Again|Dead)\b`, "settlement, refusal, result"},
	{`amqpproto/client/(accusation|again|blame|refusal|guilty_test|blame_test)\.go`, "channelerror, resend, endedrequests, connecterror"},
}

// wordsExempt are files that tell history, or quote the words themselves.
func wordsExempt(path string) bool {
	return path == "tests/tidy/words_test.go" || path == "CHANGELOG.md" || path == "LICENSE" ||
		strings.Contains(path, "/testdata/") || strings.HasPrefix(path, "docs/bench/") || strings.HasPrefix(path, "docs/chaos/")
}

// wordsIn are the kinds of files that people read.
var wordsIn = []string{".go", ".md", ".toml", "", ".py", ".mod"}

func TestOldWords(t *testing.T) {
	var all []string
	for _, w := range oldWords {
		all = append(all, w.pattern)
	}
	any := regexp.MustCompile(strings.Join(all, "|"))
	var each []*regexp.Regexp
	for _, w := range oldWords {
		each = append(each, regexp.MustCompile(w.pattern))
	}
	walk(t, func(path string) {
		if wordsExempt(path) || !slices.Contains(wordsIn, filepath.Ext(path)) {
			return
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(src, 0) >= 0 {
			return // not text
		}
		report := func(line int, text []byte) {
			for i, re := range each {
				if m := re.Find(text); m != nil {
					t.Errorf("%s:%d: %q is an old word; write %s", path, line, m, oldWords[i].instead)
				}
			}
		}
		report(0, []byte(path))
		if !any.Match(src) {
			return
		}
		n := 0
		for line := range bytes.Lines(src) {
			n++
			report(n, line)
		}
	})
}

// TestOldWordsAreFound keeps the list honest: each pattern finds what it names.
func TestOldWordsAreFound(t *testing.T) {
	for _, w := range oldWords {
		re, err := regexp.Compile(w.pattern)
		if err != nil {
			t.Errorf("%q: %v", w.pattern, err)
			continue
		}
		if re.MatchString("") || re.MatchString(w.instead) {
			t.Errorf("%q finds what is to be written instead: %q", w.pattern, w.instead)
		}
	}
}
