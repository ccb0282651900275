import java.util.Map;

import org.apache.qpid.server.SystemLauncher;

/** Starts Qpid Broker-J: the configuration, the port, a folder to work in. Ends with its standard input. */
public class Launcher {
    public static void main(String[] args) throws Exception {
        new SystemLauncher().startup(Map.of(
            "type", "Memory",
            "initialConfigurationLocation", args[0],
            "startupLoggedToSystemOut", "true",
            "context", Map.of("zamqp.port", args[1], "qpid.work_dir", args[2])));
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
