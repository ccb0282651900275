-- orders posts one order again and again, and keeps every 64th answer, so that
-- the runner can ask what became of those orders.
dofile("wrk/report.lua")

local threads = {}

setup = function(thread)
  table.insert(threads, thread)
end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"item":"widget","quantity":3}'

init = function(args)
  answers, kept, refused = 0, "", 0
end

response = function(status, headers, body)
  if status ~= 202 then
    refused = refused + 1
  end
  if answers % 64 == 0 then
    kept = kept .. body .. "\n"
  end
  answers = answers + 1
end

local report = done
done = function(summary, latency, requests)
  report(summary, latency, requests)
  for _, thread in ipairs(threads) do
    print("refused " .. thread:get("refused"))
    print(thread:get("kept"))
  end
end
