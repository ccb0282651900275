package tidy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
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

// oldWords has words and phrases that must not come back: they would be the second name for
// one thing, or have to be read twice.
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
	{`\bfor want of\b`, "because … has run out, without"},
	{`\b(that|those) which\b`, "what, the … that"},
	{`\b[iI]n good order\b`, "cleanly, in an orderly way"},
	{`\b[pP]ut aside\b`, "moved aside"},
	{`\bwill not do\b`, "is not valid, is not enough"},
	{`\b(has|have|had) to do with\b`, "handles, concerns"},
	{`\bwithout a word\b`, "without a notice, an error, an answer"},
	{`\bheeds?\b`, "uses, watches"},
	{`\bhearsay\b`, "not certain"},
	{`\b(asked|made|declared|written|taken|begins?) anew\b`, "again"},
	{`\bwould not have (it|them)\b`, "has refused"},
	{`\bhears? of\b`, "gets, is told about"},
	{`\bas (net/http|RabbitMQ|Debian) has (it|them)\b`, "as in net/http"},
	{`\bwill not pass\b`, "final, permanent"},
	{`\beach for each\b`, "counted for each"},
	{`\bas ever\b`, "as usual"},
	{`\b(is|are|not) to blame\b`, "has caused, counts as"},
	{`\bthrown away\b`, "dropped"},
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
	each := make([]*regexp.Regexp, len(oldWords))
	needs := make([][]string, len(oldWords))
	for i, w := range oldWords {
		each[i] = regexp.MustCompile(w.pattern)
		parsed, err := syntax.Parse(w.pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		needs[i] = literals(parsed)
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
		text := path + "\n" + string(src)
		for i, re := range each {
			if !mayMatch(text, needs[i]) || !re.MatchString(text) {
				continue
			}
			n := -1
			for line := range strings.Lines(text) {
				if n++; re.MatchString(line) {
					t.Errorf("%s:%d: %q is an old word; write %s", path, n, re.FindString(line), oldWords[i].instead)
				}
			}
		}
	})
}

// literals returns texts, at least one of which is in every match; nil if it finds none.
// Looking for them first makes the test ten times as fast.
func literals(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []string{string(re.Rune)}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literals(re.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if found := literals(sub); shortest(found) > shortest(best) {
				best = found
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			found := literals(sub)
			if found == nil {
				return nil
			}
			all = append(all, found...)
		}
		return all
	}
	return nil
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	return len(slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }))
}

func mayMatch(text string, needs []string) bool {
	return needs == nil || slices.ContainsFunc(needs, func(need string) bool { return strings.Contains(text, need) })
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
