package tributary;

import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.elasticsearch.plugin.NamedComponent;
import org.elasticsearch.plugin.analysis.TokenFilterFactory;
import org.elasticsearch.plugin.analysis.TokenizerFactory;

/**
 * What the analyzer of Elasticsearch's own security index names and the distribution on Maven Central leaves out. Without
 * it that index can't be made, and with it neither roles, nor users, nor API keys. Only a search for users by their e-mail
 * would notice that the two filters let everything pass.
 */
public final class SecurityIndex {
    private SecurityIndex() {}

    @NamedComponent("uax_url_email")
    public static final class Words implements TokenizerFactory {
        @Override
        public String name() {
            return "uax_url_email";
        }

        @Override
        public Tokenizer create() {
            return new UAX29URLEmailTokenizer();
        }
    }

    @NamedComponent("pattern_capture")
    public static final class Parts implements TokenFilterFactory {
        @Override
        public String name() {
            return "pattern_capture";
        }

        @Override
        public TokenStream create(TokenStream words) {
            return words;
        }
    }

    @NamedComponent("unique")
    public static final class Once implements TokenFilterFactory {
        @Override
        public String name() {
            return "unique";
        }

        @Override
        public TokenStream create(TokenStream words) {
            return words;
        }
    }
}
