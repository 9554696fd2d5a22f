/// What the server says it is.
enum Version {
    static let name = "Swiftlet"
    static let number = "0.1.0"
    /// The Redis whose behaviour is kept; clients switch features on by it.
    static let redis = "7.2.0"
}
