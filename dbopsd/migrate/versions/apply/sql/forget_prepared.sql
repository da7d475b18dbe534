-- summary: DEALLOCATE
-- What a file has prepared outlives its transaction, and would be in the way of its next attempt.
DEALLOCATE ALL
