"""Work tickets: the record of work to do, committed with the change that asks for it."""
