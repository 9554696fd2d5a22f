import Storage

/// DEBUG PROTOCOL: a value of each type of RESP3, or what stands for it in RESP2. The values are those that client
/// libraries' tests expect.
enum DebugProtocol {
    @Sendable static func reply(_ c: AdminContext) throws(CommandError) {
        let reply = c.reply
        let type = c.args[2]
        if type.equals(ignoringCase: "string") {
            reply.bulk("Hello World")
        } else if type.equals(ignoringCase: "integer") {
            reply.integer(12345)
        } else if type.equals(ignoringCase: "double") {
            reply.double(3.141)
        } else if type.equals(ignoringCase: "null") {
            reply.null()
        } else if type.equals(ignoringCase: "array") {
            reply.array(3)
            for i in 0..<3 { reply.integer(i) }
        } else if type.equals(ignoringCase: "set") {
            reply.set(3)
            for i in 0..<3 { reply.integer(i) }
        } else if type.equals(ignoringCase: "map") {
            reply.map(3)
            for i in 0..<3 {
                reply.integer(i)
                reply.boolean(i == 1)
            }
        } else if type.equals(ignoringCase: "attrib") {
            try attribute(reply)
        } else if type.equals(ignoringCase: "push") {
            try push(reply)
        } else if type.equals(ignoringCase: "verbatim") {
            reply.verbatim(Bytes("This is a verbatim\nstring"), "txt")
        } else if type.equals(ignoringCase: "true") {
            reply.boolean(true)
        } else if type.equals(ignoringCase: "false") {
            reply.boolean(false)
        } else if type.equals(ignoringCase: "bignum") {
            bigNumber(reply, "1234567999999999999999999999999999999")
        } else {
            throw CommandError(
                "ERR Wrong protocol type name. Please use one of the following: "
                    + "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
        }
    }

    /// RESP2 has no attributes: the value stands alone.
    private static func attribute(_ reply: ReplyWriter) throws(CommandError) {
        if reply.resp3 {
            reply.output.append("|1\r\n")
            reply.bulk("key-popularity")
            reply.array(2)
            reply.bulk("key:123")
            reply.integer(90)
        }
        reply.bulk("Some real reply following the attribute")
    }

    private static func push(_ reply: ReplyWriter) throws(CommandError) {
        guard reply.resp3 else { throw CommandError("ERR RESP2 is not supported by this command") }
        reply.push(2)
        reply.bulk("server-cpu-usage")
        reply.integer(42)
        // The push came out of band; the command still has a reply.
        reply.bulk("Some real reply following the push reply")
    }

    private static func bigNumber(_ reply: ReplyWriter, _ digits: StaticString) {
        guard reply.resp3 else { return reply.bulk(digits) }
        reply.output.append("(")
        reply.output.append(digits)
        reply.output.appendLineEnd()
    }
}
