-- summary: INSERT dbops.import_objects
INSERT INTO dbops.import_objects (import_id, number, fate, reason) VALUES (%s, %s, %s, %s)
