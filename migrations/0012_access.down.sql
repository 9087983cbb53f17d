drop table audit_log;
drop table access_tokens;
drop table sessions;
drop table accounts;
drop table access_version;
drop function taskscope_access_changed;
