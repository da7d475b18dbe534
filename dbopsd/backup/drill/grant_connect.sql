-- summary: GRANT CONNECT
GRANT CONNECT ON DATABASE {database} TO {role}
