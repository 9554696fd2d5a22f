import Server

Launcher.main()
