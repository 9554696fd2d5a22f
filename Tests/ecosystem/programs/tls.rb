# ruby-redis over TLS, with a client's certificate.
require "openssl"
require "redis"
require "securerandom"

files = {
  ca_file: ENV["TLS_CA"],
  cert: OpenSSL::X509::Certificate.new(File.read(ENV["TLS_CERT"])),
  key: OpenSSL::PKey.read(File.read(ENV["TLS_KEY"])),
}
options = { host: "localhost", port: ENV["TLS_PORT"].to_i, ssl: true }
redis = Redis.new(**options, ssl_params: files)
large = SecureRandom.bytes(3_000_000)
raise "ping" unless redis.ping == "PONG"
redis.set("k", large)
raise "get" unless redis.get("k").b == large
replies = redis.pipelined { |pipeline| 5000.times { pipeline.incr("n") } }
raise "pipeline" unless replies.last == 5000
# Without the certificate nobody gets in.
begin
  Redis.new(**options, ssl_params: { ca_file: ENV["TLS_CA"] }, reconnect_attempts: 0).ping
  raise "a client without a certificate got in"
rescue Redis::BaseConnectionError, OpenSSL::SSL::SSLError
  puts "ruby-redis over TLS with a client's certificate"
end
