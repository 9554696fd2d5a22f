@testable import Server
