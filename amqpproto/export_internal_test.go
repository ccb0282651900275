package amqpproto

// AssemblerMemory is what an Assembler holds, for tests of its bounds.
func AssemblerMemory(a *Assembler) int { return cap(a.body) + cap(a.props) + a.large.Held() }
