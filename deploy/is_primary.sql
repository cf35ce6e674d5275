SELECT COUNT(*) FROM performance_schema.replication_group_members AS me
 WHERE me.MEMBER_ID = @@server_uuid AND me.MEMBER_STATE = 'ONLINE' AND me.MEMBER_ROLE = 'PRIMARY'
   AND NOT @@global.super_read_only AND NOT @@global.offline_mode
   AND (SELECT SUM(other.MEMBER_STATE IN ('ONLINE', 'RECOVERING')) * 2 > COUNT(*)
          FROM performance_schema.replication_group_members AS other)
