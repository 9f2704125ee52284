package msgr

// Feature bits of peers (src/include/ceph_features.h in Ceph 16). Bits were used
// again over time: a bit means what its name says only where the bits of its
// incarnation are set too, which is why every constant here is the whole mask
// (CEPH_FEATUREMASK_*) and [HasFeature] compares all of it.
const (
	incarnation1 uint64 = 0
	incarnation2 uint64 = 1 << 57       // Jewel
	incarnation3 uint64 = 1<<57 | 1<<28 // Mimic
)

// The features, lowest bit first, each named as in Ceph without CEPH_FEATURE_.
// Several names share a bit where one release brought them together.
const (
	FeatureUID                    uint64 = 1<<0 | incarnation1
	FeatureNoSrcAddr              uint64 = 1<<1 | incarnation1
	FeatureServerNautilus         uint64 = 1<<2 | incarnation3
	FeatureFlock                  uint64 = 1<<3 | incarnation1
	FeatureSubscribe2             uint64 = 1<<4 | incarnation1
	FeatureMonNames               uint64 = 1<<5 | incarnation1
	FeatureReconnectSeq           uint64 = 1<<6 | incarnation1
	FeatureDirLayoutHash          uint64 = 1<<7 | incarnation1
	FeatureObjectLocator          uint64 = 1<<8 | incarnation1
	FeaturePGID64                 uint64 = 1<<9 | incarnation1
	FeatureIncSubOSDMap           uint64 = 1<<10 | incarnation1
	FeaturePGPool3                uint64 = 1<<11 | incarnation1
	FeatureOSDReplyMux            uint64 = 1<<12 | incarnation1
	FeatureOSDEnc                 uint64 = 1<<13 | incarnation1
	FeatureServerKraken           uint64 = 1<<14 | incarnation2
	FeatureMonEnc                 uint64 = 1<<15 | incarnation1
	FeatureServerOctopus          uint64 = 1<<16 | incarnation3
	FeatureOSDRepopMLCod          uint64 = 1<<16 | incarnation3
	FeatureOSPerfStatNS           uint64 = 1<<17 | incarnation3
	FeatureCrushTunables          uint64 = 1<<18 | incarnation1
	FeatureOSDPGLogHardLimit      uint64 = 1<<19 | incarnation2
	FeatureServerPacific          uint64 = 1<<20 | incarnation3
	FeatureServerLuminous         uint64 = 1<<21 | incarnation2
	FeatureResendOnSplit          uint64 = 1<<21 | incarnation2
	FeatureRadosBackoff           uint64 = 1<<21 | incarnation2
	FeatureOSDMapPGUpmap          uint64 = 1<<21 | incarnation2
	FeatureCrushChooseArgs        uint64 = 1<<21 | incarnation2
	FeatureOSDFixedCollectionList uint64 = 1<<22 | incarnation2
	FeatureMsgAuth                uint64 = 1<<23 | incarnation1
	FeatureRecoveryReservation2   uint64 = 1<<24 | incarnation2
	FeatureCrushTunables2         uint64 = 1<<25 | incarnation1
	FeatureCreatePoolID           uint64 = 1<<26 | incarnation1
	FeatureReplyCreateInode       uint64 = 1<<27 | incarnation1
	FeatureServerMimic            uint64 = 1<<28 | incarnation2
	FeatureMDSEnc                 uint64 = 1<<29 | incarnation1
	FeatureOSDHashPSPool          uint64 = 1<<30 | incarnation1
	FeatureStretchMode            uint64 = 1<<32 | incarnation3
	FeatureOSDCachePool           uint64 = 1<<35 | incarnation1
	FeatureCrushV2                uint64 = 1<<36 | incarnation1
	FeatureExportPeer             uint64 = 1<<37 | incarnation1
	FeatureOSDMapEnc              uint64 = 1<<39 | incarnation1
	FeatureMDSInlineData          uint64 = 1<<40 | incarnation1
	FeatureCrushTunables3         uint64 = 1<<41 | incarnation1
	FeatureOSDPrimaryAffinity     uint64 = 1<<41 | incarnation1
	FeatureMsgrKeepalive2         uint64 = 1<<42 | incarnation1
	FeatureOSDPoolResend          uint64 = 1<<43 | incarnation1
	FeatureOSDFadviseFlags        uint64 = 1<<46 | incarnation1
	FeatureMDSQuota               uint64 = 1<<47 | incarnation1
	FeatureCrushV4                uint64 = 1<<48 | incarnation1
	FeatureNewOSDOpEncoding       uint64 = 1<<56 | incarnation1
	FeatureMonStatefulSub         uint64 = 1<<57 | incarnation1
	FeatureServerJewel            uint64 = 1<<57 | incarnation1
	FeatureCrushTunables5         uint64 = 1<<58 | incarnation1
	FeatureNewOSDOpReplyEncoding  uint64 = 1<<58 | incarnation1
	FeatureFSFileLayoutV2         uint64 = 1<<58 | incarnation1
	FeatureFSBTime                uint64 = 1<<59 | incarnation1
	FeatureFSChangeAttr           uint64 = 1<<59 | incarnation1
	FeatureMsgAddr2               uint64 = 1<<59 | incarnation1
	FeatureOSDRecoveryDeletes     uint64 = 1<<60 | incarnation1
	FeatureCephxV2                uint64 = 1<<61 | incarnation1
	featureMonSinglePaxos         uint64 = 1 << 31 // ignored since Nautilus, still advertised
)

// FeaturesAll are the features of Ceph 16 (CEPH_FEATURES_ALL), which this project
// advertises.
const FeaturesAll = FeatureUID |
	FeatureNoSrcAddr |
	FeatureFlock |
	FeatureSubscribe2 |
	FeatureMonNames |
	FeatureReconnectSeq |
	FeatureDirLayoutHash |
	FeatureObjectLocator |
	FeaturePGID64 |
	FeatureIncSubOSDMap |
	FeaturePGPool3 |
	FeatureOSDReplyMux |
	FeatureOSDEnc |
	FeatureMonEnc |
	FeatureCrushTunables |
	FeatureMsgAuth |
	FeatureCrushTunables2 |
	FeatureCreatePoolID |
	FeatureReplyCreateInode |
	FeatureMDSEnc |
	FeatureOSDHashPSPool |
	FeatureNewOSDOpEncoding |
	FeatureNewOSDOpReplyEncoding |
	featureMonSinglePaxos |
	FeatureOSDCachePool |
	FeatureCrushV2 |
	FeatureExportPeer |
	FeatureOSDMapEnc |
	FeatureMDSInlineData |
	FeatureCrushTunables3 |
	FeatureOSDPrimaryAffinity |
	FeatureMsgrKeepalive2 |
	FeatureOSDPoolResend |
	FeatureOSDFadviseFlags |
	FeatureMDSQuota |
	FeatureCrushV4 |
	FeatureMonStatefulSub |
	FeatureCrushTunables5 |
	FeatureServerJewel |
	FeatureFSFileLayoutV2 |
	FeatureServerKraken |
	FeatureFSBTime |
	FeatureFSChangeAttr |
	FeatureMsgAddr2 |
	FeatureServerLuminous |
	FeatureResendOnSplit |
	FeatureRadosBackoff |
	FeatureOSDRecoveryDeletes |
	FeatureServerMimic |
	FeatureRecoveryReservation2 |
	FeatureServerNautilus |
	FeatureCephxV2 |
	FeatureOSDPGLogHardLimit |
	FeatureServerOctopus |
	FeatureStretchMode |
	FeatureOSDRepopMLCod |
	FeatureServerPacific |
	FeatureOSDFixedCollectionList

// FeaturesProtocol are needed by messenger v2 itself: the form of addresses
// (msgr2_required in src/msg/async/frames_v2.h).
const FeaturesProtocol = FeatureMsgAddr2

// HasFeature reports whether features include all of mask.
func HasFeature(features, mask uint64) bool { return features&mask == mask }
