package message

// Numbers of the messages (src/msg/Message.h, src/include/ceph_fs.h).
const (
	MsgPing               uint16 = 2
	MsgMonMap             uint16 = 4
	MsgMonGetMap          uint16 = 5
	MsgStatfs             uint16 = 13
	MsgStatfsReply        uint16 = 14
	MsgMonSubscribe       uint16 = 15
	MsgMonSubscribeAck    uint16 = 16
	MsgAuth               uint16 = 17
	MsgAuthReply          uint16 = 18
	MsgMonGetVersion      uint16 = 19
	MsgMonGetVersionReply uint16 = 20

	MsgOSDMap      uint16 = 41
	MsgOSDOp       uint16 = 42
	MsgOSDOpReply  uint16 = 43
	MsgWatchNotify uint16 = 44
	MsgPoolOpReply uint16 = 48
	MsgPoolOp      uint16 = 49
	MsgOSDBackoff  uint16 = 61

	MsgMonCommand        uint16 = 50
	MsgMonCommandAck     uint16 = 51
	MsgLog               uint16 = 52
	MsgLogAck            uint16 = 53
	MsgKVData            uint16 = 54
	MsgGetPoolStats      uint16 = 58
	MsgGetPoolStatsReply uint16 = 59
	MsgMonGlobalID       uint16 = 60
	MsgConfig            uint16 = 62
	MsgGetConfig         uint16 = 63

	MsgMonGetPurgedSnaps      uint16 = 76
	MsgMonGetPurgedSnapsReply uint16 = 77

	MsgOSDPing         uint16 = 70
	MsgOSDBoot         uint16 = 71
	MsgOSDFailure      uint16 = 72
	MsgOSDAlive        uint16 = 73
	MsgOSDMarkMeDown   uint16 = 74
	MsgOSDFull         uint16 = 75
	MsgOSDPGTemp       uint16 = 78
	MsgOSDBeacon       uint16 = 79
	MsgOSDMarkMeDead   uint16 = 123
	MsgPGStats         uint16 = 87
	MsgPGStatsAck      uint16 = 88
	MsgRemoveSnaps     uint16 = 90
	MsgCommand         uint16 = 97
	MsgCommandReply    uint16 = 98
	MsgOSDPGCreated    uint16 = 116
	MsgOSDPGCreate2    uint16 = 120
	MsgOSDPGReadyMerge uint16 = 122

	MsgOSDPGNotify         uint16 = 80
	MsgOSDPGQuery          uint16 = 81
	MsgOSDPGLog            uint16 = 83
	MsgOSDPGRemove         uint16 = 84
	MsgOSDPGInfo           uint16 = 85
	MsgOSDPGTrim           uint16 = 86
	MsgOSDScrub            uint16 = 91
	MsgOSDScrubReserve     uint16 = 92
	MsgOSDRepScrub         uint16 = 93
	MsgOSDPGScan           uint16 = 94
	MsgOSDPGBackfill       uint16 = 95
	MsgOSDPGBackfillRemove uint16 = 96
	MsgOSDBackfillReserve  uint16 = 99
	MsgOSDPGPush           uint16 = 105
	MsgOSDPGPull           uint16 = 106
	MsgOSDPGPushReply      uint16 = 107
	MsgOSDECWrite          uint16 = 108
	MsgOSDECWriteReply     uint16 = 109
	MsgOSDECRead           uint16 = 110
	MsgOSDECReadReply      uint16 = 111
	MsgOSDRepOp            uint16 = 112
	MsgOSDRepOpReply       uint16 = 113

	MsgOSDPGUpdateLogMissing      uint16 = 114
	MsgOSDPGUpdateLogMissingReply uint16 = 115
	MsgOSDRepScrubMap             uint16 = 117
	MsgOSDPGRecoveryDelete        uint16 = 118
	MsgOSDPGRecoveryDeleteReply   uint16 = 119
	MsgOSDScrub2                  uint16 = 121
	MsgOSDPGNotify2               uint16 = 130
	MsgOSDPGQuery2                uint16 = 131
	MsgOSDPGInfo2                 uint16 = 132
	MsgOSDPGLease                 uint16 = 133
	MsgOSDPGLeaseAck              uint16 = 134
	MsgOSDRecoveryReserve         uint16 = 150
	MsgOSDForceRecovery           uint16 = 151

	MsgMgrOpen         uint16 = 0x700
	MsgMgrConfigure    uint16 = 0x701
	MsgMgrReport       uint16 = 0x702
	MsgMgrBeacon       uint16 = 0x703
	MsgMgrMap          uint16 = 0x704
	MsgMgrDigest       uint16 = 0x705
	MsgMonMgrReport    uint16 = 0x706
	MsgServiceMap      uint16 = 0x707
	MsgMgrClose        uint16 = 0x708
	MsgMgrCommand      uint16 = 0x709
	MsgMgrCommandReply uint16 = 0x70a

	// MsgMonRaft is the project's own; Ceph's numbers end at 0x70a.
	MsgMonRaft uint16 = 0xf001
)
