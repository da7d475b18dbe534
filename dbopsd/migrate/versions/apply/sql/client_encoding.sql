-- summary: SET client_encoding
SET client_encoding TO {encoding}
