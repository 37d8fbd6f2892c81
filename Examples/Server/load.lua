-- Known users by GET, and someone new who likes two items by POST: for wrk. The users and items are MovieLens-100K's, or
-- those that follow the address: wrk … -s load.lua ADDRESS -- ann,bob b1,b2
local n = 0
local users = {196,186,22,244,166,298,115,253,305,6,62,286,200,210,224,303,122,194,291,234}
local items = {}
for item = 1, 1600 do items[item] = item end
local function words(text)
  local found = {}
  for word in text:gmatch("[^,]+") do found[#found + 1] = word end
  return found
end
init = function(args)
  if args[1] then users = words(args[1]) end
  if args[2] then items = words(args[2]) end
end
request = function()
  n = n + 1
  if n % 5 == 0 then
    local liked = '"' .. items[n % #items + 1] .. '","' .. items[50 % #items + 1] .. '"'
    return wrk.format("POST", "/recommend", nil, '{"likes":[' .. liked .. '],"count":10}')
  end
  return wrk.format("GET", "/recommend?count=10&user=" .. users[n % #users + 1])
end
