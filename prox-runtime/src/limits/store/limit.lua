-- Decides about one request. KEYS[1] has two numbers for each window: `till` and `used`.
-- ARGV[1] is `take` or `charge`; then for each window its fill (0 evenly, 1 a day, 2 a month), price, capacity and depth.
-- Times are microseconds since 1970.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local DAY = 86400000000

local function next_day()
  return (math.floor(now / DAY) + 1) * DAY
end

local function start_of_year(year)
  return 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
end

local function next_month()
  local day = math.floor(now / DAY) + 719468
  local era = math.floor(day / 146097)
  local of_era = day - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local month = math.floor((5 * (of_era - start_of_year(year)) + 2) / 153)
  if month == 11 then
    year, month = year + 1, 0
  else
    month = month + 1
  end
  return (era * 146097 + start_of_year(year) + math.floor((153 * month + 2) / 5) - 719468) * DAY
end

local kept = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  kept[#kept + 1] = tonumber(number)
end

local fits = true
local windows = {}
for at = 2, #ARGV, 4 do
  local window = {
    evenly = ARGV[at] == '0',
    price = tonumber(ARGV[at + 1]),
    depth = tonumber(ARGV[at + 3]),
  }
  local capacity = tonumber(ARGV[at + 2])
  local till, used = kept[2 * #windows + 1] or 0, kept[2 * #windows + 2] or 0
  if window.evenly then
    till, used = math.min(math.max(till, now), now + window.depth), 0
    window.taken = till - now
  else
    local ends = ARGV[at] == '1' and next_day() or next_month()
    if till <= now then
      till, used = ends, 0
    else
      till = math.min(till, ends)
    end
    window.taken = used
  end
  window.till, window.used = till, used
  if capacity <= 0 or window.taken + window.price > capacity then
    fits = false
  end
  windows[#windows + 1] = window
end

local allowed = fits or ARGV[1] == 'charge'
local answer, texts, keep = { allowed and 1 or 0 }, {}, 0
for _, window in ipairs(windows) do
  if allowed then
    local taken = math.min(window.taken + window.price, window.depth)
    if window.evenly then
      window.till = now + taken
    else
      window.used = taken
    end
  end
  keep = math.max(keep, window.till - now)
  texts[#texts + 1] = string.format('%.0f %.0f', window.till, window.used)
  answer[#answer + 1] = window.till - now
  answer[#answer + 1] = window.used
end
if allowed and keep > 0 then
  redis.call('SET', KEYS[1], table.concat(texts, ' '), 'PX', string.format('%.0f', math.ceil(keep / 1000)))
end
return answer
