/** What Redis does with agents' messages in one step each (Lua). The keys of one script lie in one slot of a cluster. */

/**
 * KEYS: the stream of a role, and which messages it holds (id -> entry). ARGV: id, text and signature of each. Adds those that it does
 * not hold, and tells whoever subscribes to the channel of the same name; answers how many.
 */
export const DELIVER = `
local added = 0
for i = 1, #ARGV, 3 do
  if redis.call('hexists', KEYS[2], ARGV[i]) == 0 then
    local entry = redis.call('xadd', KEYS[1], '*', 'message', ARGV[i + 1], 'signature', ARGV[i + 2])
    redis.call('hset', KEYS[2], ARGV[i], entry)
    redis.call('publish', KEYS[1], cjson.encode({ message = ARGV[i + 1], signature = ARGV[i + 2] }))
    added = added + 1
  end
end
return added`

/** KEYS: the same. ARGV: ids. */
export const WITHDRAW = `
for _, id in ipairs(ARGV) do
  local entry = redis.call('hget', KEYS[2], id)
  if entry then
    redis.call('xdel', KEYS[1], entry)
    redis.call('hdel', KEYS[2], id)
  end
end`

/**
 * KEYS: the same. ARGV: how many more there may be. The ids that the stream holds; forgets those whose entries somebody took out of it.
 * Somebody who put more into it than that made it useless: it is taken away, to be made again.
 */
export const HELD = `
if redis.call('xlen', KEYS[1]) > redis.call('hlen', KEYS[2]) + tonumber(ARGV[1]) then redis.call('del', KEYS[1], KEYS[2]) end
local held = {}
local all = redis.call('hgetall', KEYS[2])
for i = 1, #all, 2 do
  if #redis.call('xrange', KEYS[1], all[i + 1], all[i + 1]) > 0 then
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
  if entry then
    local entryMs, entrySeq = string.match(entry, '(%d+)-(%d+)')
    local read = tonumber(entryMs) < tonumber(ms) or (entryMs == ms and tonumber(entrySeq) <= tonumber(seq))
    if read and #redis.call('xpending', KEYS[1], ARGV[1], entry, entry, 1) == 0 then taken[#taken + 1] = ARGV[i] end
  end
end
return taken`

/** Of entries as XREADGROUP and XCLAIM answer them: those with more bytes than `most` come without their fields. */
const BOUNDED = `
local function bounded(entries, most)
  local kept = {}
  for _, entry in ipairs(entries) do
    local bytes = 0
    for _, text in ipairs(entry[2] or {}) do bytes = bytes + #text end
    kept[#kept + 1] = { entry[1], bytes, bytes > most and {} or entry[2] or {} }
  end
  return kept
end`

/** KEYS: the stream of answers. ARGV: group, consumer, how many, most bytes of one. The group is made where there is none. */
export const RECEIVE = `${BOUNDED}
local read = redis.pcall('xreadgroup', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if read and read.err then
  if not string.find(read.err, 'NOGROUP', 1, true) then return read end
  redis.call('xgroup', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
  read = redis.call('xreadgroup', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
end
return read and bounded(read[1][2], tonumber(ARGV[4])) or {}`

/** The same, of what another consumer, or this one, took so many ms (ARGV[5]) ago and did not settle; with how often each was taken. */
export const RECLAIM = `${BOUNDED}
local pending = redis.pcall('xpending', KEYS[1], ARGV[1], 'IDLE', ARGV[5], '-', '+', ARGV[3])
if pending.err or #pending == 0 then return {} end
local ids, times = {}, {}
for _, one in ipairs(pending) do
  ids[#ids + 1] = one[1]
  times[one[1]] = one[4]
end
local entries = bounded(redis.call('xclaim', KEYS[1], ARGV[1], ARGV[2], ARGV[5], unpack(ids)), tonumber(ARGV[4]))
for _, entry in ipairs(entries) do entry[4] = times[entry[1]] end
return entries`

/** KEYS: the stream of answers. ARGV: group, entries. */
export const SETTLE = `
for i = 2, #ARGV do
  redis.call('xack', KEYS[1], ARGV[1], ARGV[i])
  redis.call('xdel', KEYS[1], ARGV[i])
end`

/** KEYS: nonces. ARGV: for each the entry that used it, and for how many ms it is kept. 1: it is this entry's, 0: another used it before. */
export const CLAIM_NONCES = `
local mine = {}
for i, key in ipairs(KEYS) do
  local entry = ARGV[2 * i - 1]
  mine[i] = (redis.call('set', key, entry, 'NX', 'PX', ARGV[2 * i]) or redis.call('get', key) == entry) and 1 or 0
end
return mine`

/** KEYS: the stream of answers, and a key of what was heard. ARGV: what was heard, how long other processes hear the same, how long the stream may be. */
export const HEAR = `
if redis.call('set', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
  redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'heard', ARGV[1])
end`

/** KEYS: the stream of an agent's replies. ARGV: text, signature, how many are kept, for how many ms. */
export const REPLY = `
redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'message', ARGV[1], 'signature', ARGV[2])
redis.call('pexpire', KEYS[1], ARGV[4])
redis.call('publish', KEYS[1], cjson.encode({ message = ARGV[1], signature = ARGV[2] }))`
