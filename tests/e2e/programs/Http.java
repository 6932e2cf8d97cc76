import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/** {@code get URL}: prints it. {@code client URL}: fetches it with HttpClient and with a Socket. {@code server PORT}: HTTP there, an NIO echo behind. */
public class Http {
  public static void main(String[] words) throws Exception {
    if (words[0].equals("get")) {
      get(URI.create(words[1]));
    } else if (words[0].equals("client")) {
      fetch(URI.create(words[1]));
    } else {
      int port = Integer.parseInt(words[1]);
      serve(port);
      echo(port + 1);
    }
  }

  private static void get(URI uri) throws Exception {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofInputStream()).body()
        .transferTo(System.out);
    System.out.flush();
  }

  private static void fetch(URI uri) throws Exception {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    System.out.print(client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString()).body());
    try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(5000);
      socket.getOutputStream().write(("GET " + uri.getPath() + " HTTP/1.0\r\n\r\n").getBytes());
      String answer = new String(socket.getInputStream().readAllBytes());
      System.out.print(answer.substring(answer.indexOf("\r\n\r\n") + 4));
    }
  }

  private static void serve(int port) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", port), 0);
    server.createContext("/", exchange -> {
      byte[] body = "from java\n".getBytes();
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }

  private static void echo(int port) throws Exception {
    Selector selector = Selector.open();
    ServerSocketChannel listener = ServerSocketChannel.open();
    listener.bind(new InetSocketAddress("0.0.0.0", port));
    listener.configureBlocking(false);
    listener.register(selector, SelectionKey.OP_ACCEPT);
    ByteBuffer bytes = ByteBuffer.allocate(65536);
    while (selector.select() >= 0) {
      for (SelectionKey key : selector.selectedKeys()) {
        if (key.isAcceptable()) {
          SocketChannel channel = listener.accept();
          channel.configureBlocking(false);
          channel.register(selector, SelectionKey.OP_READ);
        } else {
          SocketChannel channel = (SocketChannel) key.channel();
          bytes.clear();
          if (channel.read(bytes) < 0) channel.close();
          bytes.flip();
          while (channel.isOpen() && bytes.hasRemaining()) channel.write(bytes);
        }
      }
      selector.selectedKeys().clear();
    }
  }
}
