//! The rules whose absence must break an invariant, each as a switch.

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule of the protocol that is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Switch {
            $($(#[$doc])* $name,)*
        }

        impl Switch {
            /// Every switch.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

switches! {
    /// A new owner reads the stream that it finds and puts no seal at its end.
    SkipSeal,
    /// A new owner keeps the state that it read first, whatever was put into the stream before its seal.
    OpenBeforeSealing,
    /// A commit is acknowledged when its PUT is sent.
    AcknowledgeBeforePut,
    /// Commits of the next stream are acknowledged before HEAD names it.
    AcknowledgeBeforeNamed,
    /// A write that is sent again has a new put-id.
    NewPutId,
    /// HEAD is written without a condition.
    UnconditionalHead,
    /// Slots are written without a condition.
    UnconditionalSlot,
    /// Commits go on to the old stream while its publish is under way.
    OpenGate,
    /// A publish that was not named yet is given up for another one of the same epoch.
    FreezeAgain,
    /// The id of a stream does not tell the epoch.
    StreamWithoutEpoch,
    /// The pages of a publish do not refer to packs that segments carried.
    DropCarriedPacks,
    /// The first owner of a new branch seals the stream that the branch starts from.
    SealSource,
    /// Reads are answered without a proof.
    ReadWithoutProof,
    /// A proof counts from its answer.
    ProofFromAnswer,
    /// Whatever nothing reaches is collected, as if its age proved that its attempt ended.
    CollectByAge,
    /// A higher epoch ends the attempts on a stream that HEAD still names.
    EpochEndsStream,
    /// Seals are collected.
    CollectSeals,
    /// The segment before a seal is collected.
    CollectBeforeSeal,
    /// Packs are kept by the pages that refer to them only, not by the stream that carried them.
    ForgetStreamPacks,
    /// The pages of a branch's oldest kept state are not read.
    ForgetOldestPages,
    /// A pin keeps no more of the stream after its manifest than its position needs.
    KeepPartOfStream,
    /// The slots of a merged stream are all collected, those that keep late writes out among them.
    MergeGuards,
    /// The stream that HEAD names is merged.
    MergeOpen,
    /// Nobody who misses a slot reads the merged stream.
    IgnoreMerged,
    /// The collector does not look again after it wrote its list.
    LookOnce,
    /// A run removes the lists of other runs whose objects are needed again.
    RemoveListsInUse,
    /// HEAD is not read again after the stream that it named was listed.
    TrustFirstHead,
    /// A pin is a promise before the condemned lists were read.
    IgnoreCondemned,
    /// The condemned lists are read before the pin is put.
    CondemnedBeforePin,
    /// Nobody looks whether the manifest of a pin still exists.
    IgnoreExpired,
    /// Two pins have the same name.
    SharedPinName,
    /// A pin is removed although the branch that it serves may still appear.
    UnpinUndecided,
    /// The HEAD of a deleted branch is deleted.
    DeleteHead,
    /// The deletion of a branch whose HEAD is not there leaves no mark in its place.
    DeleteWithoutMark,
}
