"""A small TaskIQ application, as a team that Taskscope watches would have one."""
