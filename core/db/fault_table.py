"""Every database error number that is no bug of ours, with its effect on the transaction and the caller.

docs/database-errors.md shows the same table. A number that is missing here is a bug, and answered 500.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How an error is handled.

    RERUN: nothing was done. The transaction is rolled back whole and run again on the same connection. If that keeps
    failing, the answer is `busy`.
    LOST: the connection or the server cannot be used any more. The connection is closed; before COMMIT the transaction
    is run again on another one. If that keeps failing, the answer is `unavailable`.
    OTHER: not a fault of the database.
    """

    RERUN = "rerun"
    LOST = "lost"
    OTHER = "other"


@dataclass(frozen=True)
class Known:
    """One error number. `name` is the server's or the driver's own; `why` says when it occurs."""

    number: int
    name: str
    kind: Kind
    why: str


def _read(kind: Kind, rows: str) -> list[Known]:
    split = (row.strip().split(" ", 2) for row in rows.strip().splitlines())
    return [Known(int(number), name, kind, why) for number, name, why in split]


_RERUN = """
1020 ER_CHECKREAD the row has changed since the snapshot (MariaDB)
1062 ER_DUP_ENTRY two requests met on one unique value, such as a user's idempotency key
1205 ER_LOCK_WAIT_TIMEOUT another transaction kept the row for LOCK_WAIT_SECONDS
1206 ER_LOCK_TABLE_FULL no memory for more locks; the server has rolled the transaction back
1213 ER_LOCK_DEADLOCK a deadlock; on Galera also a conflict with another node, reported at COMMIT
1297 ER_GET_TEMPORARY_ERRMSG a temporary error of the storage engine
1402 ER_XA_RBROLLBACK the server rolled the transaction back
1412 ER_TABLE_DEF_CHANGED the table was altered since the transaction began
1613 ER_XA_RBTIMEOUT the server rolled the transaction back, which took too long
1614 ER_XA_RBDEADLOCK the server rolled the transaction back for a deadlock
1615 ER_NEED_REPREPARE the table was altered while the statement was prepared
1637 ER_TOO_MANY_CONCURRENT_TRXS no undo log is free for another transaction
1689 ER_LOCK_ABORTED the wait was ended in favour of a change of the table
3058 ER_USER_LOCK_DEADLOCK a deadlock over a named lock
3101 ER_TRANSACTION_ROLLBACK_DURING_COMMIT the replication group refused the transaction at COMMIT, for a conflict
3132 ER_LOCKING_SERVICE_DEADLOCK a deadlock over a lock of the locking service
3133 ER_LOCKING_SERVICE_TIMEOUT a lock of the locking service did not come in time
3177 ER_LOCK_REFUSED_BY_ENGINE the storage engine refused the lock
3572 ER_LOCK_NOWAIT the row is locked, and the statement may not wait
"""

_DRIVER = """
-1 CR_UNKNOWN the driver gives no number, for one on a connection that is closed
2002 CR_CONNECTION_ERROR no server behind the socket
2003 CR_CONN_HOST_ERROR no server behind host and port; a router or proxy says so of the server behind it
2005 CR_UNKNOWN_HOST the host's name cannot be resolved
2006 CR_SERVER_GONE_ERROR the server has closed the connection
2008 CR_OUT_OF_MEMORY no memory in the driver
2012 CR_SERVER_HANDSHAKE_ERR the server's greeting broke off
2013 CR_SERVER_LOST the connection was lost in the middle of a statement
2014 CR_COMMANDS_OUT_OF_SYNC an answer is left over from an earlier statement
2027 CR_MALFORMED_PACKET the answer is not MySQL's protocol
2045 CR_SHARED_MEMORY_CONNECT_ABANDONED_ERROR the connection was given up by the server
2048 CR_INVALID_CONN_HANDLE the connection is closed
2055 CR_SERVER_LOST_EXTENDED the connection was lost
"""

_CONNECTION = """
1042 ER_BAD_HOST_ERROR the server cannot resolve this host's address
1043 ER_HANDSHAKE_ERROR the greeting was not understood
1079 ER_SHUTDOWN_COMPLETE the server has stopped
1152 ER_ABORTING_CONNECTION the server has closed the connection
1153 ER_NET_PACKET_TOO_LARGE the statement is larger than max_allowed_packet
1154 ER_NET_READ_ERROR_FROM_PIPE the server could not read from the connection
1155 ER_NET_FCNTL_ERROR the server could not set up the connection
1156 ER_NET_PACKETS_OUT_OF_ORDER packets came out of order
1157 ER_NET_UNCOMPRESS_ERROR a packet could not be read
1158 ER_NET_READ_ERROR the server could not read from the connection
1159 ER_NET_READ_INTERRUPTED the server waited too long for the statement
1160 ER_NET_ERROR_ON_WRITE the server could not write to the connection
1161 ER_NET_WRITE_INTERRUPTED the server waited too long to write
1184 ER_NEW_ABORTING_CONNECTION the server has closed the connection
1927 ER_CONNECTION_KILLED the connection was killed (MariaDB, MaxScale)
3169 ER_SESSION_WAS_KILLED the session was killed
4031 ER_CLIENT_INTERACTION_TIMEOUT the connection was silent for longer than wait_timeout
4081 ER_DA_GLOBAL_CONN_LIMIT closed: all connections together use too much memory
4082 ER_DA_CONN_LIMIT closed: the connection uses too much memory
"""

_SERVER = """
1040 ER_CON_COUNT_ERROR too many connections
1047 ER_UNKNOWN_COM_ERROR a Galera node that is not ready, and proxies
1053 ER_SERVER_SHUTDOWN the server is stopping
1077 ER_NORMAL_SHUTDOWN the server is stopping
1078 ER_GOT_SIGNAL the server is stopping
1080 ER_FORCING_CLOSE the server is stopping
1105 ER_UNKNOWN_ERROR what proxies, and servers that are like MySQL, say when they do not say what
1129 ER_HOST_IS_BLOCKED this host is shut out after many failed connections
1130 ER_HOST_NOT_PRIVILEGED this host may not connect
1135 ER_CANT_CREATE_THREAD no thread for another connection
1203 ER_TOO_MANY_USER_CONNECTIONS too many connections of the user
1226 ER_USER_LIMIT_REACHED a limit of the user is reached
1317 ER_QUERY_INTERRUPTED the statement was killed
1969 ER_STATEMENT_TIMEOUT the statement took longer than max_statement_time (MariaDB)
3024 ER_QUERY_TIMEOUT the statement took longer than max_execution_time, or than DATABASE_TIMEOUT_SECONDS
3032 ER_SERVER_OFFLINE_MODE the server is in offline mode
3168 ER_SERVER_ISNT_AVAILABLE the server is not available
"""

_GROUP = """
3100 ER_RUN_HOOK_ERROR the replication group could not take the transaction, as in a minority
3230 ER_WRITE_SET_EXCEEDS_LIMIT the transaction is larger than the replication group takes
3781 ER_GR_HOLD_WAIT_TIMEOUT the new primary has not caught up in time
3782 ER_GR_HOLD_KILLED the new primary was stopped before it had caught up
3783 ER_GR_HOLD_MEMBER_STATUS_ERROR the new primary failed before it had caught up
3796 ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED the member cannot keep group_replication_consistency now
3797 ER_GRP_TRX_CONSISTENCY_BEFORE the group's earlier transactions did not come in time
3798 ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN transactions before this one did not reach all members in time
3799 ER_GRP_TRX_CONSISTENCY_BEGIN_NOT_ALLOWED the member is leaving the group
"""

_READ_ONLY = """
1036 ER_OPEN_AS_READONLY the table is read-only
1290 ER_OPTION_PREVENTS_STATEMENT read_only or super_read_only, as on a primary that no longer is one
1792 ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION the session is read-only
1836 ER_READ_ONLY_MODE the server is read-only
1874 ER_INNODB_READ_ONLY InnoDB is read-only
1881 ER_INNODB_FORCED_RECOVERY the server runs with innodb_force_recovery
3989 ER_SCHEMA_READ_ONLY the database is read-only
"""

# Below 1000 are those of the server's own functions for files and memory (include/mysys_err.h), which it tells as well.
_RESOURCES = """
1 EE_CANTCREATEFILE a file could not be made, for one because tmpdir is not there
2 EE_READ a file could not be read
3 EE_WRITE a file could not be written, for one because tmpdir is full
4 EE_BADCLOSE a file could not be closed
5 EE_OUTOFMEMORY no memory
6 EE_DELETE a file could not be removed
7 EE_LINK a file could not be renamed
9 EE_EOFERR a file is shorter than it was
10 EE_CANTLOCK a file could not be locked
14 EE_CANT_CHSIZE a file could not be resized
15 EE_CANT_OPEN_STREAM a file could not be opened
20 EE_DISK_FULL the disk is full
23 EE_OUT_OF_FILERESOURCES too many files are open
27 EE_SYNC a file could not be synchronised with the disk
29 EE_FILENOTFOUND a file is not there
33 EE_CANT_SEEK a file could not be read from a place
34 EE_CAPACITY_EXCEEDED a limit on memory is reached
35 EE_DISK_FULL_WITH_RETRY_MSG the disk is full
1004 ER_CANT_CREATE_FILE a file could not be made
1015 ER_CANT_LOCK the server cannot lock a file
1016 ER_CANT_OPEN_FILE the server cannot open a file, for one because too many are open
1021 ER_DISK_FULL the disk is full
1024 ER_ERROR_ON_READ a file could not be read
1026 ER_ERROR_ON_WRITE a file could not be written
1028 ER_FILSORT_ABORT a sort was ended
1030 ER_GET_ERRNO an error of the storage engine
1034 ER_NOT_KEYFILE a temporary table is broken, for one because its disk is full
1037 ER_OUTOFMEMORY no memory
1038 ER_OUT_OF_SORTMEMORY no memory for a sort
1041 ER_OUT_OF_RESOURCES no memory
1114 ER_RECORD_FILE_FULL the table, or its disk, is full
1119 ER_STACK_OVERRUN the thread's stack is used up
1180 ER_ERROR_DURING_COMMIT an error of the storage engine at COMMIT; `busy` where it is 149, a deadlock
1181 ER_ERROR_DURING_ROLLBACK an error of the storage engine at ROLLBACK
1194 ER_CRASHED_ON_USAGE a table is broken, for one a temporary one
1197 ER_TRANS_CACHE_FULL the transaction is larger than max_binlog_cache_size
1296 ER_GET_ERRMSG an error of the storage engine
1436 ER_STACK_OVERRUN_NEED_MORE the thread's stack is used up
1534 ER_BINLOG_ROW_LOGGING_FAILED the binary log could not be written
1598 ER_BINLOG_LOGGING_IMPOSSIBLE the binary log could not be written
1665 ER_BINLOG_STMT_MODE_AND_ROW_ENGINE binlog_format is STATEMENT, with which nothing can be sold
1705 ER_STMT_CACHE_FULL the statement is larger than max_binlog_stmt_cache_size
1810 ER_IO_READ_ERROR a table's file could not be read
1811 ER_IO_WRITE_ERROR a table's file could not be written
1878 ER_TEMP_FILE_WRITE_FAILURE a temporary file could not be written
3015 ER_ENGINE_OUT_OF_MEMORY no memory in the storage engine
3019 ER_INNODB_UNDO_LOG_FULL the undo log is full
3044 ER_STD_BAD_ALLOC_ERROR no memory
3170 ER_CAPACITY_EXCEEDED a limit on memory is reached
3185 ER_CANNOT_FIND_KEY_IN_KEYRING the keyring of an encrypted table is not there
3675 ER_DISK_FULL_NOWAIT the disk is full
3884 ER_NO_SESSION_TEMP no temporary tablespace for the session
3985 ER_MDL_OUT_OF_RESOURCES no memory for another lock of a table
"""

_DENIED = """
2026 CR_SSL_CONNECTION_ERROR TLS could not be set up as the address wants it (ssl_ca, ssl_verify_cert …)
2061 CR_AUTH_PLUGIN_ERR the password would have to be sent in clear; use TLS
1044 ER_DBACCESS_DENIED_ERROR the user may not use the database
1045 ER_ACCESS_DENIED_ERROR the database refused the user or the password
1049 ER_BAD_DB_ERROR the server has no such database; make it with CREATE DATABASE
1251 ER_NOT_SUPPORTED_AUTH_MODE the server asks for a way to log in that the driver does not know
1524 ER_PLUGIN_IS_NOT_LOADED the server no longer has the plugin by which the user logs in; use caching_sha2_password
1698 ER_ACCESS_DENIED_NO_PASSWORD_ERROR the database refused the user
1820 ER_MUST_CHANGE_PASSWORD the user's password has expired
1862 ER_MUST_CHANGE_PASSWORD_LOGIN the user's password has expired
3118 ER_ACCOUNT_HAS_BEEN_LOCKED the user's account is locked
3159 ER_SECURE_TRANSPORT_REQUIRED the server wants TLS; take ssl_disabled out of the address
3955 ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK too many wrong passwords
4150 ER_USER_IS_BLOCKED too many wrong passwords (MariaDB)
4151 ER_ACCOUNT_HAS_BEEN_LOCKED the user's account is locked (MariaDB)
"""

_MISSING_GRANT = """
1142 ER_TABLEACCESS_DENIED_ERROR the user lacks a privilege for a table
1143 ER_COLUMNACCESS_DENIED_ERROR the user lacks a privilege for a column
1227 ER_SPECIFIC_ACCESS_DENIED_ERROR the user lacks a privilege
1370 ER_PROCACCESS_DENIED_ERROR the user may not run a procedure
"""

_PROXYSQL = """
9001 ER_PROXYSQL_MAX_CONN_TIMEOUT no server behind ProxySQL took a connection in time
9002 ER_PROXYSQL_MAX_CONN_FAILURES no server behind ProxySQL took a connection
9004 ER_PROXYSQL_OFFLINE_SRV the server behind ProxySQL went offline
9005 ER_PROXYSQL_LAGGING_SRV the server behind ProxySQL lags
9006 ER_PROXYSQL_PING_TIMEOUT the server behind ProxySQL is silent; or the session is bound to another one
9007 ER_PROXYSQL_CHANGE_USER_TIMEOUT the server behind ProxySQL is silent
9008 ER_PROXYSQL_GR_HEALTH_CHECK_TIMEOUT the server behind ProxySQL is silent
9009 ER_PROXYSQL_GR_HEALTH_CHECKS_MISSED the server behind ProxySQL is silent
9010 ER_PROXYSQL_READ_ONLY_CHECK_CONN_TIMEOUT the server behind ProxySQL is silent
9011 ER_PROXYSQL_READ_ONLY_CHECK_TIMEOUT the server behind ProxySQL is silent
9012 ER_PROXYSQL_READ_ONLY_CHECKS_MISSED the server behind ProxySQL is silent
9013 ER_PROXYSQL_GALERA_HEALTH_CHECK_CONN_TIMEOUT the server behind ProxySQL is silent
9014 ER_PROXYSQL_GALERA_HEALTH_CHECK_TIMEOUT the server behind ProxySQL is silent
9015 ER_PROXYSQL_GALERA_HEALTH_CHECKS_MISSED the server behind ProxySQL is silent
9016 ER_PROXYSQL_AWS_NO_PINGABLE_SRV no server behind ProxySQL answers
9017 ER_PROXYSQL_AWS_HEALTH_CHECK_CONN_TIMEOUT the server behind ProxySQL is silent
9018 ER_PROXYSQL_AWS_HEALTH_CHECK_TIMEOUT the server behind ProxySQL is silent
9019 ER_PROXYSQL_SRV_NULL_REPLICATION_LAG the server behind ProxySQL does not follow its primary
9020 ER_PROXYSQL_GR_HEALTH_CONN_CHECK_TIMEOUT the server behind ProxySQL is silent
"""

GROUPS: Mapping[str, list[Known]] = {
    "Rolled back, to be run again": _read(Kind.RERUN, _RERUN),
    "Reported by the driver": _read(Kind.LOST, _DRIVER),
    "The connection is closed or broken": _read(Kind.LOST, _CONNECTION),
    "The server cannot work, or not for us": _read(Kind.LOST, _SERVER),
    "A replication group changes its primary, or has no majority": _read(Kind.LOST, _GROUP),
    "The server is read-only": _read(Kind.LOST, _READ_ONLY),
    "Disk, memory or files": _read(Kind.LOST, _RESOURCES),
    "Refused at the login": _read(Kind.LOST, _DENIED),
    "A privilege is missing": _read(Kind.LOST, _MISSING_GRANT),
    "Reported by ProxySQL": _read(Kind.LOST, _PROXYSQL),
}
KNOWN: Mapping[int, Known] = {known.number: known for group in GROUPS.values() for known in group}
# Refused at the login, and why.
DENIED: Mapping[int, str] = {known.number: known.why for known in GROUPS["Refused at the login"]}
# The user is known, and lacks a privilege for a statement.
MISSING_GRANT = frozenset(known.number for known in GROUPS["A privilege is missing"])
