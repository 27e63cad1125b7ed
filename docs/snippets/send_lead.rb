# Sends a lead. LEADMILL_URL is where leadmill is, LEADMILL_KEY the key of a source.
require "json"
require "net/http"

# It may send again, because a lead is stored once for each key: name it after what you send.
def send_lead(lead, idempotency_key, tries: 6)
  url = URI(ENV.fetch("LEADMILL_URL") + "/api/v1/leads")
  request = Net::HTTP::Post.new(url,
    "Authorization" => "Bearer #{ENV.fetch("LEADMILL_KEY")}",
    "Content-Type" => "application/json",
    "Idempotency-Key" => idempotency_key)
  request.body = JSON.generate(lead)
  (1..tries).each do |n|
    wait = 2**n
    begin
      answer = Net::HTTP.start(url.host, url.port, use_ssl: url.scheme == "https", read_timeout: 30) { |http| http.request(request) }
      return JSON.parse(answer.body) if answer.is_a?(Net::HTTPSuccess)
      abort answer.body if !%w[429 503].include?(answer.code) || n == tries # application/problem+json says what to do
      wait = Integer(answer["Retry-After"] || wait)
    rescue SystemCallError, SocketError, EOFError, Timeout::Error # no answer: perhaps it was stored, perhaps not
      raise if n == tries
    end
    sleep wait
  end
end

lead = { email: "ada@example.com", name: "Ada Lovelace", phone: "+44 20 7946 0123", utm_source: "newsletter" }
puts JSON.generate(send_lead(lead, "order-17"))
