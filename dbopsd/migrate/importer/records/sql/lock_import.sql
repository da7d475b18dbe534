-- summary: SELECT dbops.imports
-- Until the transaction's end: whoever else would publish or revert it waits, and sees what we did.
SELECT FROM dbops.imports WHERE import_id = %s FOR UPDATE
