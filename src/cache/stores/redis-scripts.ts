/**
 * The Lua scripts; Redis runs each as one atomic step. All times are Redis's own, in microseconds, and never go back:
 * the member `clock` of the marks holds the latest time, so that a clock that is set back, or the clock of another
 * machine after a fail-over, does no harm. The clocks of the processes do not matter.
 *
 * An entry is valid if no purge that concerns it is later than its version, the time of the lookup before its fetch.
 * Marks live longer than entries. If the marks are lost (eviction, a FLUSHALL), all entries from before count as
 * purged. If there are too many, the oldest marks are dropped, and all entries from before them count as purged.
 */
const COMMON = `
local wall = redis.call('TIME')
wall = wall[1] * 1000000 + wall[2]
local marks = KEYS[1]
local day = 86400000000
local function text(time) return string.format('%.0f', time) end
local function mark(member) return tonumber(redis.call('ZSCORE', marks, member) or nil) end
local function set(member, time) redis.call('ZADD', marks, text(time), member) end
local function hash(reply)
  local found = {}
  if reply.err then return found end
  for i = 1, #reply, 2 do found[reply[i]] = reply[i + 1] end
  return found
end
local clock, all = mark('clock'), mark('all')
if not clock or not all then
  clock, all = math.max(wall, clock or 0), math.max(wall, clock or 0)
  set('clock', clock)
  set('all', all)
  redis.call('PEXPIRE', marks, 31 * 86400000)
end
local now = math.max(wall, clock + 1)
local function tagsPurged(tags, version)
  for i = 1, #tags, 23 do
    local time = mark(string.sub(tags, i, i + 22))
    if time and time >= version then return true end
  end
  return false
end
local function living(lists, target)
  local floor = math.max(all, mark(target) or 0, tonumber(lists.p) or 0)
  local alive = {}
  for name, times in pairs(lists) do
    local since, last = string.match(times, '^(%d+) (%d+)$')
    if string.sub(name, 1, 1) == 'l' and since and tonumber(since) > floor then
      alive[string.sub(name, 2)] = { since = tonumber(since), last = tonumber(last) }
    end
  end
  return alive, floor
end
`;

/**
 * KEYS: marks, lists, then an entry's key for each guessed list of Vary fields. ARGV: the target's member, then the
 * guessed lists. Returns the clock, the version, the newest answer or nil, then all lists of the resource. If one of
 * these was not guessed there is no answer, and the caller asks again with all of them.
 */
export const GET = `${COMMON}
local lists, floor = living(hash(redis.pcall('HGETALL', KEYS[2])), ARGV[1])
local keys, reply, unknown = {}, { text(clock), text(now), false }, false
for i = 2, #ARGV do keys[ARGV[i]] = KEYS[i + 1] end
for fields in pairs(lists) do
  reply[#reply + 1] = fields
  unknown = unknown or not keys[fields]
end
if unknown then return reply end
local best, newest = nil, 0
for fields, times in pairs(lists) do
  local head = redis.pcall('HMGET', keys[fields], 'v', 's', 'q', 'g')
  if not head.err and head[1] == '1' then
    local version, order = tonumber(head[2] or nil), tonumber(head[3] or nil)
    if version and order and head[4] and version > floor and order >= times.since and order > newest
      and not tagsPurged(head[4], version) then
      best, newest = keys[fields], order
    end
  end
end
if best then reply[3] = redis.call('HGET', best, 'b') end
return reply
`;

/**
 * KEYS: marks, lists, entry. ARGV: the target's member, Vary fields, version, milliseconds to keep it, members of the
 * tags, the entry. A purge of a resource is remembered for an hour: an answer whose fetch took longer is not stored.
 */
export const PUT = `${COMMON}
local lists, floor = living(hash(redis.pcall('HGETALL', KEYS[2])), ARGV[1])
local version, keep, tags = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if version <= floor or version < now - day / 24 or tagsPurged(tags, version) then return { text(clock), 0 } end
set('clock', now)
redis.call('PEXPIRE', marks, 31 * 86400000)
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
  if name ~= 'p' and not lists[string.sub(name, 2)] then redis.call('HDEL', KEYS[2], name) end
end
local own = lists[ARGV[2]] or { since = now }
own.last = now
lists[ARGV[2]] = own
local count, oldest = 0, nil
for fields, times in pairs(lists) do
  count = count + 1
  if not oldest or times.last < lists[oldest].last then oldest = fields end
end
if count > 4 then redis.call('HDEL', KEYS[2], 'l' .. oldest) end
redis.call('HSET', KEYS[2], 'l' .. ARGV[2], text(own.since) .. ' ' .. text(now))
redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[2]), keep))
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'v', '1', 's', ARGV[3], 'q', text(now), 'g', tags, 'b', ARGV[6])
redis.call('PEXPIRE', KEYS[3], keep)
return { text(clock), 1 }
`;

/** KEYS: marks, then the lists of the purged resources. ARGV: the members to mark, then how many marks are kept. */
export const PURGE = `${COMMON}
local function raise(floor)
  if floor > all then all = floor end
end
for i = 1, #ARGV - 1 do
  if ARGV[i] == 'all' then
    all = now
    redis.call('DEL', marks)
  else
    set(ARGV[i], now)
  end
end
for i = 2, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('HSET', KEYS[i], 'p', text(now))
  redis.call('PEXPIRE', KEYS[i], 2 * 3600000)
end
local past = now - 31 * day
redis.call('ZREMRANGEBYSCORE', marks, '-inf', text(past))
raise(past)
local excess = redis.call('ZCARD', marks) - tonumber(ARGV[#ARGV])
if excess > 0 then
  redis.call('ZREM', marks, 'all', 'clock')
  local gone = redis.call('ZRANGE', marks, excess, excess, 'WITHSCORES')
  if gone[2] then raise(math.min(tonumber(gone[2]), now)) end
  redis.call('ZREMRANGEBYRANK', marks, 0, excess)
end
set('all', all)
set('clock', now)
redis.call('PEXPIRE', marks, 31 * 86400000)
return { text(now) }
`;

/** One step of SCAN. ARGV: cursor, pattern. Returns the next cursor, the number of entries, their bytes. */
export const COUNT = `
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
local entries, bytes = 0, 0
for _, key in ipairs(page[2]) do
  local body, tags = redis.pcall('HSTRLEN', key, 'b'), redis.pcall('HSTRLEN', key, 'g')
  if type(body) == 'number' and body > 0 then
    entries = entries + 1
    bytes = bytes + body + tags + #key
  end
end
return { page[1], entries, bytes }
`;
