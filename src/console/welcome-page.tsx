/** The page /console/welcome. */

import { render } from "preact";
import { WelcomeScreen } from "./screens/welcome.tsx";

render(<WelcomeScreen />, document.body);
