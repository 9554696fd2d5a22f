# Sidekiq, Debian's: a job that a worker has stands in no queue, unless it ends or the worker stops in order.
require "sidekiq"
require "fileutils"

Sidekiq.logger.level = Logger::WARN
Sidekiq.configure_server { |config| config.redis = { url: ENV["REDIS_URL"] } }
Sidekiq.configure_client { |config| config.redis = { url: ENV["REDIS_URL"] } }

class Run
  include Sidekiq::Worker
  def perform(number)
    File.open(File.join(ENV["LEDGER"], number.to_s), "ab") { |file| file.write(".") }
  end
end

case ARGV[0]
when "produce"
  $stdout.sync = true
  (ARGV[1].to_i...ARGV[2].to_i).each do |number|
    # Some at once, some through the schedule, which a script empties.
    number % 4 == 0 ? Run.perform_in(1, number) : Run.perform_async(number)
    puts "#{number} taken"
  rescue StandardError => e
    puts "#{number} unknown #{e.class}"
    sleep 0.05
  end
when "held"
  puts ""
when "worker"
  exec "sidekiq", "-c", "2", "-t", "2", "-r", File.expand_path(__FILE__)
end
