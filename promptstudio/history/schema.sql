-- The newest schema for a new SQLite file. Generated: python -m promptstudio.history.migrate

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE prompt_requests (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	created_at DATETIME NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	prompt VARCHAR(512) NOT NULL, 
	variant TEXT, 
	version TEXT, 
	prompt_type TEXT NOT NULL, 
	behavior TEXT NOT NULL, 
	interface TEXT NOT NULL, 
	"commit" TEXT, 
	dirty BOOLEAN, 
	model TEXT NOT NULL, 
	user TEXT NOT NULL, 
	reason TEXT, 
	session_id VARCHAR(64), 
	eval_run_id VARCHAR(64), 
	label TEXT, 
	profile TEXT, 
	tags TEXT NOT NULL, 
	owner TEXT, 
	parameters TEXT NOT NULL, 
	overrides TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	messages TEXT NOT NULL, 
	UNIQUE (id)
);

CREATE INDEX ix_prompt_requests_created_at ON prompt_requests (created_at, seq);

CREATE INDEX ix_prompt_requests_prompt ON prompt_requests (prompt, created_at);

CREATE TABLE prompt_responses (
	id INTEGER NOT NULL, 
	prompt_id VARCHAR(36) NOT NULL, 
	created_at DATETIME NOT NULL, 
	finish_reason TEXT, 
	resolved_model TEXT, 
	provider_response_id TEXT, 
	system_fingerprint TEXT, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cached_tokens INTEGER, 
	reasoning_tokens INTEGER, 
	cost_microusd BIGINT, 
	duration_ms INTEGER NOT NULL, 
	first_token_ms INTEGER, 
	cached BOOLEAN NOT NULL, 
	error_kind TEXT, 
	error_message TEXT, 
	response_text TEXT NOT NULL, 
	output TEXT, 
	tool_calls TEXT, 
	reasoning TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (prompt_id), 
	FOREIGN KEY(prompt_id) REFERENCES prompt_requests (id) ON DELETE CASCADE
);

CREATE TABLE evaluations (
	id VARCHAR(36) NOT NULL, 
	created_at DATETIME NOT NULL, 
	run_id VARCHAR(64), 
	suite TEXT NOT NULL, 
	suite_hash TEXT, 
	prompt VARCHAR(512) NOT NULL, 
	variant TEXT, 
	behavior VARCHAR(128) NOT NULL, 
	model TEXT, 
	cases INTEGER NOT NULL, 
	passed INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	errors INTEGER NOT NULL, 
	unscored INTEGER NOT NULL, 
	gate VARCHAR(16) NOT NULL, 
	"commit" TEXT, 
	user TEXT NOT NULL, 
	PRIMARY KEY (id)
);

CREATE INDEX ix_evaluations_behavior ON evaluations (behavior, created_at);

CREATE INDEX ix_evaluations_prompt ON evaluations (prompt, created_at);

CREATE TABLE attempts (
	prompt_id VARCHAR(36) NOT NULL, 
	number INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	waited_ms INTEGER NOT NULL, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cached_tokens INTEGER, 
	reasoning_tokens INTEGER, 
	cost_microusd BIGINT, 
	status_code INTEGER, 
	error_kind TEXT, 
	error_message TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (prompt_id, number), 
	FOREIGN KEY(prompt_id) REFERENCES prompt_requests (id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_prompt_requests_status ON prompt_requests (status, created_at) WHERE status <> 'completed';

CREATE INDEX ix_prompt_requests_session_id ON prompt_requests (session_id) WHERE session_id IS NOT NULL;

CREATE INDEX ix_prompt_requests_eval_run_id ON prompt_requests (eval_run_id) WHERE eval_run_id IS NOT NULL;

INSERT INTO alembic_version VALUES ('0003');

-- Full-text search

CREATE TABLE prompt_search_folds (step INTEGER PRIMARY KEY, letter TEXT NOT NULL, plain TEXT NOT NULL);

INSERT INTO prompt_search_folds VALUES (1, char(1425), ''), (2, char(1426), ''), (3, char(1427), ''), (4, char(1428), ''), (5, char(1429), ''), (6, char(1430), ''), (7, char(1431), ''), (8, char(1432), ''), (9, char(1433), ''), (10, char(1434), ''), (11, char(1435), ''), (12, char(1436), ''), (13, char(1437), ''), (14, char(1438), ''), (15, char(1439), ''), (16, char(1440), ''), (17, char(1441), ''), (18, char(1442), ''), (19, char(1443), ''), (20, char(1444), ''), (21, char(1445), ''), (22, char(1446), ''), (23, char(1447), ''), (24, char(1448), ''), (25, char(1449), ''), (26, char(1450), ''), (27, char(1451), ''), (28, char(1452), ''), (29, char(1453), ''), (30, char(1454), ''), (31, char(1455), ''), (32, char(1456), ''), (33, char(1457), ''), (34, char(1458), ''), (35, char(1459), ''), (36, char(1460), ''), (37, char(1461), ''), (38, char(1462), ''), (39, char(1463), ''), (40, char(1464), ''), (41, char(1465), ''), (42, char(1466), ''), (43, char(1467), ''), (44, char(1468), ''), (45, char(1469), ''), (46, char(1471), ''), (47, char(1473), ''), (48, char(1474), ''), (49, char(1476), ''), (50, char(1477), ''), (51, char(1479), ''), (52, char(1600), ''), (53, char(1611), ''), (54, char(1612), ''), (55, char(1613), ''), (56, char(1614), ''), (57, char(1615), ''), (58, char(1616), ''), (59, char(1617), ''), (60, char(1618), ''), (61, char(1619), ''), (62, char(1620), ''), (63, char(1621), ''), (64, char(1622), ''), (65, char(1623), ''), (66, char(1624), ''), (67, char(1625), ''), (68, char(1626), ''), (69, char(1627), ''), (70, char(1628), ''), (71, char(1629), ''), (72, char(1630), ''), (73, char(1631), ''), (74, char(1648), ''), (75, char(1750), ''), (76, char(1751), ''), (77, char(1752), ''), (78, char(1753), ''), (79, char(1754), ''), (80, char(1755), ''), (81, char(1756), ''), (82, char(1759), ''), (83, char(1760), ''), (84, char(1761), ''), (85, char(1762), ''), (86, char(1763), ''), (87, char(1764), ''), (88, char(1767), ''), (89, char(1768), ''), (90, char(1770), ''), (91, char(1771), ''), (92, char(1772), ''), (93, char(1773), ''), (94, char(1570), char(1575)), (95, char(1571), char(1575)), (96, char(1573), char(1575)), (97, char(1649), char(1575)), (98, char(1609), char(1610)), (99, char(1740), char(1610)), (100, char(1705), char(1603)), (101, char(1577), char(1607)), (102, char(1632), '0'), (103, char(1633), '1'), (104, char(1634), '2'), (105, char(1635), '3'), (106, char(1636), '4'), (107, char(1637), '5'), (108, char(1638), '6'), (109, char(1639), '7'), (110, char(1640), '8'), (111, char(1641), '9'), (112, char(1776), '0'), (113, char(1777), '1'), (114, char(1778), '2'), (115, char(1779), '3'), (116, char(1780), '4'), (117, char(1781), '5'), (118, char(1782), '6'), (119, char(1783), '7'), (120, char(1784), '8'), (121, char(1785), '9');

CREATE VIEW prompt_texts AS
SELECT r.seq AS seq,
       r.prompt || ' ' || coalesce(r.variant, '') || ' ' || coalesce(r.label, '') || ' ' || coalesce(r.reason, '')
         || ' ' || coalesce((SELECT group_concat(t.value, ' ') FROM json_each(r.tags) AS t), '') AS about,
       coalesce((SELECT group_concat(t.atom, char(10))
                   FROM json_each(CASE WHEN json_valid(r.messages) THEN r.messages ELSE '[]' END) AS m,
                        json_tree(m.value) AS t
                  WHERE json_extract(m.value, '$.role') NOT IN ('system', 'developer')
                    AND t.key IN ('content', 'text') AND t.type = 'text'), '')
         || char(10) ||
       coalesce((SELECT group_concat(t.atom, char(10))
                   FROM json_tree(CASE WHEN json_valid(r.inputs) THEN r.inputs ELSE '{}' END) AS t
                  WHERE t.type IN ('text', 'integer', 'real')), '') AS asked,
       CASE WHEN json_valid(p.output)
            THEN coalesce((SELECT group_concat(t.atom, char(10)) FROM json_tree(p.output) AS t
                            WHERE t.type IN ('text', 'integer', 'real')), '')
            ELSE coalesce(p.response_text, '') END
         || char(10) || coalesce(p.error_message, '') AS answered
  FROM prompt_requests AS r LEFT JOIN prompt_responses AS p ON p.prompt_id = r.id;

CREATE VIEW prompt_search_text AS
SELECT seq,
       CASE WHEN about GLOB '*[' || char(1425) || '-' || char(1791) || ']*' THEN (
           WITH RECURSIVE folded (step, text) AS (
             SELECT 0, about UNION ALL
             SELECT f.step, replace(folded.text, f.letter, f.plain)
               FROM folded JOIN prompt_search_folds AS f ON f.step = folded.step + 1)
           SELECT text FROM folded WHERE step = (SELECT max(step) FROM prompt_search_folds))
         ELSE about END AS about,
       CASE WHEN asked GLOB '*[' || char(1425) || '-' || char(1791) || ']*' THEN (
           WITH RECURSIVE folded (step, text) AS (
             SELECT 0, asked UNION ALL
             SELECT f.step, replace(folded.text, f.letter, f.plain)
               FROM folded JOIN prompt_search_folds AS f ON f.step = folded.step + 1)
           SELECT text FROM folded WHERE step = (SELECT max(step) FROM prompt_search_folds))
         ELSE asked END AS asked,
       CASE WHEN answered GLOB '*[' || char(1425) || '-' || char(1791) || ']*' THEN (
           WITH RECURSIVE folded (step, text) AS (
             SELECT 0, answered UNION ALL
             SELECT f.step, replace(folded.text, f.letter, f.plain)
               FROM folded JOIN prompt_search_folds AS f ON f.step = folded.step + 1)
           SELECT text FROM folded WHERE step = (SELECT max(step) FROM prompt_search_folds))
         ELSE answered END AS answered
  FROM prompt_texts;

CREATE VIRTUAL TABLE prompt_search USING fts5(
  about, asked, answered,
  content = 'prompt_search_text', content_rowid = 'seq',
  tokenize = 'unicode61 remove_diacritics 2', columnsize = 0);

CREATE TRIGGER prompt_search_request_added AFTER INSERT ON prompt_requests
WHEN new.status NOT IN ('pending', 'running')
BEGIN
  INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered
  FROM prompt_search_text WHERE seq = new.seq;
END;

CREATE TRIGGER prompt_search_request_changing BEFORE UPDATE OF status, prompt, variant, label, reason, tags, inputs, messages ON prompt_requests
WHEN old.status NOT IN ('pending', 'running')
BEGIN
  INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered) SELECT 'delete', seq, about, asked, answered
  FROM prompt_search_text WHERE seq = old.seq;
END;

CREATE TRIGGER prompt_search_request_changed AFTER UPDATE OF status, prompt, variant, label, reason, tags, inputs, messages ON prompt_requests
WHEN new.status NOT IN ('pending', 'running')
BEGIN
  INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered
  FROM prompt_search_text WHERE seq = new.seq;
END;

CREATE TRIGGER prompt_search_request_removing BEFORE DELETE ON prompt_requests
WHEN old.status NOT IN ('pending', 'running')
BEGIN
  INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered) SELECT 'delete', seq, about, asked, answered
  FROM prompt_search_text WHERE seq = old.seq;
END;

CREATE TRIGGER prompt_search_response_adding BEFORE INSERT ON prompt_responses
BEGIN
  INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered) SELECT 'delete', seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = new.prompt_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER prompt_search_response_added AFTER INSERT ON prompt_responses
BEGIN
  INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = new.prompt_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER prompt_search_response_changing BEFORE UPDATE ON prompt_responses
BEGIN
  INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered) SELECT 'delete', seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = old.prompt_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER prompt_search_response_changed AFTER UPDATE ON prompt_responses
BEGIN
  INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = new.prompt_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER prompt_search_response_removing BEFORE DELETE ON prompt_responses
BEGIN
  INSERT INTO prompt_search (prompt_search, rowid, about, asked, answered) SELECT 'delete', seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = old.prompt_id AND status NOT IN ('pending', 'running'));
END;

CREATE TRIGGER prompt_search_response_removed AFTER DELETE ON prompt_responses
BEGIN
  INSERT INTO prompt_search (rowid, about, asked, answered) SELECT seq, about, asked, answered
  FROM prompt_search_text WHERE seq = (SELECT seq FROM prompt_requests WHERE id = old.prompt_id AND status NOT IN ('pending', 'running'));
END;
