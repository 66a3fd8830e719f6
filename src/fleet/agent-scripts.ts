/**
 * What Redis does with agents' messages in one step each (Lua). The keys of one script lie in one slot of a cluster. Whoever has a
 * password of Redis may have written to them: what is of no use is taken away, and made again from the database or by who sent it.
 */

/** Takes away what is not of its kind. */
const OF_KIND = `
local function ofKind(key, kind)
  local found = redis.call('type', key).ok
  if found ~= kind and found ~= 'none' then redis.call('del', key) end
end`

/**
 * KEYS: the stream of a role, and which messages it holds (id -> entry). ARGV: id, text and signature of each. Adds those that it does
 * not hold, and tells whoever subscribes to the channel of the same name; answers how many, or -1 when the stream took no more (an entry
 * had the last id that there is): then it is empty, and all of it is to be delivered again.
 */
export const DELIVER = `${OF_KIND}
ofKind(KEYS[1], 'stream')
ofKind(KEYS[2], 'hash')
local added = 0
for i = 1, #ARGV, 3 do
  if redis.call('hexists', KEYS[2], ARGV[i]) == 0 then
    local entry = redis.pcall('xadd', KEYS[1], '*', 'message', ARGV[i + 1], 'signature', ARGV[i + 2])
    if type(entry) == 'table' then
      redis.call('del', KEYS[1], KEYS[2])
      return -1
    end
    redis.call('hset', KEYS[2], ARGV[i], entry)
    redis.call('publish', KEYS[1], cjson.encode({ message = ARGV[i + 1], signature = ARGV[i + 2] }))
    added = added + 1
  end
end
return added`

/** KEYS: the same. ARGV: ids. */
export const WITHDRAW = `${OF_KIND}
ofKind(KEYS[1], 'stream')
ofKind(KEYS[2], 'hash')
for _, id in ipairs(ARGV) do
  local entry = redis.call('hget', KEYS[2], id)
  if entry then
    redis.pcall('xdel', KEYS[1], entry)
    redis.call('hdel', KEYS[2], id)
  end
end`

/**
 * KEYS: the same. ARGV: how many messages it may hold, how many entries it may have besides, the group that agents read in, and how many
 * they may be. The ids that the stream holds; forgets those whose entries somebody took out of it. Somebody who put more into it than
 * that made it useless: it is taken away, to be made again. Makes the group, so that agents need not be allowed to.
 */
export const HELD = `${OF_KIND}
ofKind(KEYS[1], 'stream')
ofKind(KEYS[2], 'hash')
local known = redis.call('hlen', KEYS[2])
if known > tonumber(ARGV[1]) or redis.call('xlen', KEYS[1]) > known + tonumber(ARGV[2]) then redis.call('del', KEYS[1], KEYS[2]) end
redis.pcall('xgroup', 'CREATE', KEYS[1], ARGV[3], '0', 'MKSTREAM')
for _, group in ipairs(redis.call('xinfo', 'groups', KEYS[1])) do
  local name, consumers
  for i = 1, #group, 2 do
    if group[i] == 'name' then name = group[i + 1] end
    if group[i] == 'consumers' then consumers = group[i + 1] end
  end
  if name == ARGV[3] and consumers > tonumber(ARGV[4]) then
    redis.call('xgroup', 'DESTROY', KEYS[1], name)
    redis.call('xgroup', 'CREATE', KEYS[1], name, '0')
  end
end
local held = {}
local all = redis.call('hgetall', KEYS[2])
for i = 1, #all, 2 do
  local found = redis.pcall('xrange', KEYS[1], all[i + 1], all[i + 1])
  if #all[i] <= 100 and not found.err and #found > 0 then
    held[#held + 1] = all[i]
  else
    redis.call('hdel', KEYS[2], all[i])
  end
end
return held`

/** KEYS: the same. ARGV: the group, then ids. Those that the group read and acknowledged. */
export const TAKEN = `
local groups = redis.pcall('xinfo', 'groups', KEYS[1])
if groups.err then return {} end
local last
for _, group in ipairs(groups) do
  local fields = {}
  for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
  if fields['name'] == ARGV[1] then last = fields['last-delivered-id'] end
end
if not last then return {} end
local taken = {}
local ms, seq = string.match(last, '(%d+)-(%d+)')
for i = 2, #ARGV do
  local entry = redis.call('hget', KEYS[2], ARGV[i])
  if entry and string.match(entry, '^%d+-%d+$') then
    local entryMs, entrySeq = string.match(entry, '(%d+)-(%d+)')
    local read = tonumber(entryMs) < tonumber(ms) or (entryMs == ms and tonumber(entrySeq) <= tonumber(seq))
    if read and #redis.call('xpending', KEYS[1], ARGV[1], entry, entry, 1) == 0 then taken[#taken + 1] = ARGV[i] end
  end
end
return taken`

/** Of all that is taken at once; Redis does nothing else meanwhile. */
const MOST_BYTES_AT_ONCE = 4_000_000

/**
 * What is taken, up to ARGV[3] entries and those bytes, of entries as XREADGROUP and XCLAIM answer them: those with more bytes than ARGV[4]
 * come without their fields, and are settled at once, since reading them again and again would take Redis more time than whoever asks
 * waits for.
 */
const ENTRIES = `
local entries, bytes = {}, 0
local function hasRoom() return #entries < tonumber(ARGV[3]) and bytes < ${MOST_BYTES_AT_ONCE} end
local function take(entry, times)
  local own = 0
  for _, text in ipairs(entry[2] or {}) do own = own + #text end
  local isTooLarge = own > tonumber(ARGV[4])
  if isTooLarge then
    redis.call('xack', KEYS[1], ARGV[1], entry[1])
    redis.call('xdel', KEYS[1], entry[1])
  end
  bytes = bytes + own
  entries[#entries + 1] = { entry[1], own, isTooLarge and {} or entry[2] or {}, times }
end`

const LAST_ID = '18446744073709551615-18446744073709551615'

/**
 * The next ones. KEYS: the stream of answers. ARGV: group, consumer, how many, most bytes of one, and how many entries there may be:
 * beyond, the oldest are dropped. The group is made where there is none, and anew where it passes by what nobody has judged (somebody moved it, or
 * acknowledged for it); a stream that takes no more entries is taken away.
 */
export const RECEIVE = `${OF_KIND}${ENTRIES}
ofKind(KEYS[1], 'stream')
redis.call('xtrim', KEYS[1], 'MAXLEN', '~', ARGV[5])
local function takeNext()
  while hasRoom() do
    local read = redis.pcall('xreadgroup', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
    if not read or read.err then return end
    take(read[1][2][1])
  end
end
takeNext()
if #entries == 0 then
  local pending = redis.pcall('xpending', KEYS[1], ARGV[1])
  local there = redis.call('xlen', KEYS[1])
  if pending.err or there > pending[1] then
    redis.pcall('xgroup', 'DESTROY', KEYS[1], ARGV[1])
    redis.call('xgroup', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
    takeNext()
  elseif there == 0 then
    local about = redis.call('xinfo', 'stream', KEYS[1])
    for i = 1, #about, 2 do
      if about[i] == 'last-generated-id' and about[i + 1] == '${LAST_ID}' then redis.call('del', KEYS[1]) end
    end
  end
end
return entries`

/**
 * KEYS, ARGV: the same, of what another consumer, or this one, took so many ms (ARGV[5]) ago and did not settle; with how often each was
 * taken. Forgets consumers that have nothing and were silent for ARGV[6] ms: each process is one of its own.
 */
export const RECLAIM = `${ENTRIES}
local consumers = redis.pcall('xinfo', 'consumers', KEYS[1], ARGV[1])
for _, consumer in ipairs(consumers) do
  local is = {}
  for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
  if is.pending == 0 and is.idle > tonumber(ARGV[6]) then redis.call('xgroup', 'DELCONSUMER', KEYS[1], ARGV[1], is.name) end
end
local pending = redis.pcall('xpending', KEYS[1], ARGV[1], 'IDLE', ARGV[5], '-', '+', ARGV[3])
for _, one in ipairs(pending) do
  if hasRoom() then
    for _, entry in ipairs(redis.call('xclaim', KEYS[1], ARGV[1], ARGV[2], ARGV[5], one[1])) do take(entry, one[4]) end
  end
end
return entries`

/** KEYS: the stream of answers. ARGV: group, entries. */
export const SETTLE = `
for i = 2, #ARGV do
  redis.call('xack', KEYS[1], ARGV[1], ARGV[i])
  redis.call('xdel', KEYS[1], ARGV[i])
end`

/** KEYS: the stream of answers. ARGV: group, the consumer that took them, and for each entry how often it was taken before. */
export const SPARE = `
for i = 3, #ARGV, 2 do
  redis.call('xclaim', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
end`

/** KEYS: nonces. ARGV: for each the entry that used it, and for how many ms it is kept. 1: it is this entry's, 0: another used it before. */
export const CLAIM_NONCES = `
local mine = {}
for i, key in ipairs(KEYS) do
  local entry = ARGV[2 * i - 1]
  mine[i] = (redis.call('set', key, entry, 'NX', 'PX', ARGV[2 * i]) or redis.pcall('get', key) == entry) and 1 or 0
end
return mine`

/** KEYS: the stream of answers, and a key of what was heard. ARGV: what was heard, how long other processes hear the same, how long the stream may be. */
export const HEAR = `${OF_KIND}
ofKind(KEYS[1], 'stream')
if redis.call('set', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
  redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'heard', ARGV[1])
end`

/** KEYS: the stream of an agent's replies. ARGV: text, signature, how many are kept, for how many ms. */
export const REPLY = `
local function add() return redis.pcall('xadd', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'message', ARGV[1], 'signature', ARGV[2]) end
if type(add()) == 'table' then
  redis.call('del', KEYS[1])
  add()
end
redis.call('pexpire', KEYS[1], ARGV[4])
redis.call('publish', KEYS[1], cjson.encode({ message = ARGV[1], signature = ARGV[2] }))`

/** KEYS: by which key what lies here was signed. ARGV: the key that it is signed with from now on. 1: it was the same. */
export const INTACT = `
local before = redis.pcall('get', KEYS[1])
redis.call('set', KEYS[1], ARGV[1])
return before == ARGV[1] and 1 or 0`
