-- The end of a peek: what was decided, and how each limit stands without this call. Comes after the part of admit.lua
-- that decides, so both decide the same.
local answer = {
  refusing and REFUSED or OK, now, refusing or 0, remaining > 0 and remaining or 0, latest == NEVER and -1 or latest,
  budget_refuses, granted, hold,
}
for n = 1, count do
  local kind, limit, size = kinds[n], numbers[n * 3 + 1], #answer
  if kind == BUDGET then
    answer[size + 1], answer[size + 2] = used[n], held[n]
  elseif kind == SLOTS then
    answer[size + 1], answer[size + 2] = limit - used[n], 0
  else
    local period = numbers[n * 3 + 2]
    answer[size + 1] = floor((limit * period - used[n]) / period)
    answer[size + 2] = limit > 0 and now + ceil(used[n] / limit) or -1
  end
end
for _, orphan in ipairs(orphans) do answer[#answer + 1] = orphan end
return answer
