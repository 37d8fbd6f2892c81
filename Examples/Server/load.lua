-- Known users by GET, and someone new who likes two items by POST: for wrk, with MovieLens-100K.
local n = 0
local users = {196,186,22,244,166,298,115,253,305,6,62,286,200,210,224,303,122,194,291,234}
request = function()
  n = n + 1
  if n % 5 == 0 then
    return wrk.format("POST", "/recommend", nil, '{"likes":["' .. (n % 1600 + 1) .. '","50"],"count":10}')
  end
  return wrk.format("GET", "/recommend?count=10&user=" .. users[n % 20 + 1])
end
