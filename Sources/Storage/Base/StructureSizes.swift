import Glibc

/// Structural constants that tests make small, so that what happens beyond them (a tree of three levels, a full interval
/// list, a batch that is sent on) happens with few elements.
///
/// A constant stands where it is used: `static var limit: Int { StructureSizes.size(256, small: 3) }`. In release builds that is
/// 256. In debug builds, and in release builds with `-Xswiftc -DSMALL_STRUCTURES`, it is 3 where the environment has
/// SWIFTLET_SMALL_STRUCTURES. Formats and what clients see do not depend on any of them.
public enum StructureSizes {
    #if DEBUG || SMALL_STRUCTURES
        /// Whether the environment asks for small structures.
        public static let areSmall = getenv("SWIFTLET_SMALL_STRUCTURES") != nil

        public static func size(_ usual: Int, small: Int) -> Int { areSmall ? small : usual }
    #else
        @inlinable @inline(__always) public static func size(_ usual: Int, small: Int) -> Int { usual }
    #endif
}
