// Without fonts: the reader's own are used, and nothing is loaded from elsewhere.
import DefaultTheme from "vitepress/theme-without-fonts";
import "./custom.css";

export default DefaultTheme;
