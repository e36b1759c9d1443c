-- Have budgets seeded anew, after the ledger changed by other ways than settlement (a correction).
-- ARGV: budgets.
for i = 1, #ARGV do invalidate(ARGV[i]) end
return #ARGV
