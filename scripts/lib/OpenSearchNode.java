import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One node of OpenSearch with the modules of its distribution, as a process: `java OpenSearchNode.java FOLDER HTTP TRANSPORT`.
 * With `secured` behind it the node has the security plugin, whose files lie in the node's configuration.
 * The runner's own main program takes no settings and only some ports.
 */
public class OpenSearchNode {
    public static void main(String[] arguments) throws Exception {
        var folder = Path.of(arguments[0]).toAbsolutePath();
        Files.createDirectories(folder);
        var isSecured = arguments.length > 3 && arguments[3].equals("secured");
        var runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("http.port", arguments[1]);
            settings.put("transport.port", arguments[2]);
            settings.put("discovery.type", "single-node");
            settings.putList("node.roles", "cluster_manager", "data", "ingest");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
            settings.put("action.auto_create_index", "false");
            if (isSecured) {
                for (var side : new String[] {"transport", "http"}) {
                    settings.put("plugins.security.ssl." + side + ".pemcert_filepath", "server.pem");
                    settings.put("plugins.security.ssl." + side + ".pemkey_filepath", "server.key");
                    settings.put("plugins.security.ssl." + side + ".pemtrustedcas_filepath", "ca.pem");
                }
                settings.put("plugins.security.ssl.http.enabled", "true");
                settings.put("plugins.security.allow_default_init_securityindex", "true");
                settings.putList("plugins.security.nodes_dn", "CN=localhost");
            }
        });
        var configs = OpenSearchRunner.newConfigs().basePath(folder.toString()).clusterName("tributary").numOfNode(1).useLogger();
        runner.build(isSecured ? configs.pluginTypes("org.opensearch.security.OpenSearchSecurityPlugin") : configs);
        var ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
            ended.countDown();
        }));
        System.out.println("OpenSearch started");
        ended.await();
    }
}
