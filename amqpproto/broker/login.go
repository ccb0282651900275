package broker

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"zamqp/amqpproto"
)

// mechanisms are the SASL mechanisms that connection.start offers.
const mechanisms = "PLAIN AMQPLAIN"

// loginCache remembers successful logins as salted digests, so that a client that connects
// again does not need a bcrypt each time. With this cache, passwords can be guessed faster
// than with the hashes, so it stays only in memory.
type loginCache struct {
	salt [16]byte
	good map[[sha256.Size]byte]struct{}
}

// loginsKept limits the cache. It needs one entry for each user's password, and wrong
// passwords never enter it.
const loginsKept = 10_000

func (l *loginCache) digest(hash string, password []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(l.salt[:])
	h.Write([]byte(hash))
	h.Write([]byte{0})
	h.Write(password)
	return [sha256.Size]byte(h.Sum(nil))
}

func (l *loginCache) add(d [sha256.Size]byte) {
	if l.good == nil || len(l.good) >= loginsKept {
		l.good = map[[sha256.Size]byte]struct{}{}
	}
	l.good[d] = struct{}{}
}

// If the user is unknown, the password is compared with the hash of nobody: the
// time that a refusal takes must not show which users exist.
const nobody = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// credentials parses the response of a mechanism. The results are views into
// response. The error is for the log only: clients only learn that they were
// refused.
func credentials(mechanism string, response []byte) (user, password []byte, err error) {
	switch mechanism {
	case "PLAIN": // RFC 4616: authorization identity, which is not used, NUL, user, NUL, password
		_, rest, ok := bytes.Cut(response, []byte{0})
		if ok {
			user, password, ok = bytes.Cut(rest, []byte{0})
		}
		if !ok || bytes.IndexByte(password, 0) >= 0 {
			return nil, nil, fmt.Errorf("PLAIN: the response is not two NULs with user and password behind them")
		}
		return user, password, nil
	case "AMQPLAIN":
		table := amqpproto.RawTable(response)
		u, okUser := table.Lookup("LOGIN")
		p, okPassword := table.Lookup("PASSWORD")
		if user, okUser = stringOf(u, okUser); !okUser {
			return nil, nil, fmt.Errorf("AMQPLAIN: the response has no field LOGIN")
		}
		if password, okPassword = stringOf(p, okPassword); !okPassword {
			return nil, nil, fmt.Errorf("AMQPLAIN: the response has no field PASSWORD")
		}
		return user, password, nil
	}
	return nil, nil, fmt.Errorf("unknown authentication mechanism %.40q", mechanism)
}

func stringOf(f amqpproto.Field, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	return f.Bytes()
}

// login checks the credentials of a start-ok and continues with c.welcome or c.refuse: at
// once, or in a later turn if a password has to be hashed.
func (c *Conn) login(mechanism string, response []byte) {
	s := c.server
	if c.user != nil { // see ConnectOwn
		c.welcome(c.user)
		return
	}
	user, password, err := credentials(mechanism, response)
	if err != nil {
		c.refuse(mechanism, err)
		return
	}
	a := s.accounts[string(user)]
	if a != nil && a.hash == "" {
		switch {
		case string(password) != a.name:
			c.refuse(mechanism, fmt.Errorf("user %q: wrong password", user))
		case !c.loopback:
			c.refuse(mechanism, fmt.Errorf("user %q can only connect via localhost: give it a password", user))
		default:
			c.welcome(a)
		}
		return
	}
	hash := nobody
	var digest [sha256.Size]byte
	if a != nil {
		hash = a.hash
		digest = s.logins.digest(hash, password)
		if _, good := s.logins.good[digest]; good {
			c.welcome(a)
			return
		}
	}
	c.state = awaitLogin
	name, secret := string(user), bytes.Clone(password)
	var mismatch error
	s.host.Offload(func() { mismatch = bcrypt.CompareHashAndPassword([]byte(hash), secret) }, func() {
		if c.state != awaitLogin {
			return
		}
		switch {
		case a == nil:
			c.refuse(mechanism, fmt.Errorf("user %.60q is unknown", name))
		case mismatch != nil:
			c.refuse(mechanism, fmt.Errorf("user %q: %w", name, mismatch))
		default:
			s.logins.add(digest)
			c.welcome(a)
		}
		c.wake()
		c.wakeKept()
	})
}

// welcome proposes limits to a client that has logged in.
func (c *Conn) welcome(a *account) {
	c.user = a
	o := &c.server.opts
	c.state = awaitTuneOk
	c.send(0, &amqpproto.ConnectionTune{ChannelMax: o.ChannelMax, FrameMax: o.FrameMax, Heartbeat: o.heartbeatSeconds()})
}

// refuse ends a login. Only clients that announce authentication_failure_close are
// told; others would take connection.close for a broken handshake. The socket stays
// open for a while.
func (c *Conn) refuse(mechanism string, err error) {
	ce := &amqpproto.ConnectionError{Code: amqpproto.AccessRefused, Text: fmt.Sprintf(
		"Login was refused using authentication mechanism %.40s. For details see the broker logfile.", mechanism)}
	if c.failureClose {
		c.send(0, ce.CloseMethod())
	}
	c.err = err
	c.state = connFailed
	c.limit = c.server.now() + int64(loginDelay)
	c.server.stats.LoginsRefused++
	c.note(LoginRefused, err)
	c.wake()
}
